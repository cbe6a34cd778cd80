"""What each verb does, as a function that returns data.

``manage.py ppg_connect``, ``flask ppg`` and ``ppg-connect`` only parse and print.
"""
