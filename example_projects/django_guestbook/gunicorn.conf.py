"""Gunicorn reads this file by itself when it is started in this folder."""

wsgi_app = "config.wsgi"
worker_class = "gthread"
workers = 2
threads = 4
# Each thread keeps one connection to the pooler: 2 x 4 of them. In transaction mode an idle one
# costs PostgreSQL nothing.

# Newer releases put a control socket into the home folder; older ones ignore this line.
control_socket_disable = True
