"""What `flask` and gunicorn serve: ``wsgi:app``."""

from shortlinks import create_app

app = create_app()
