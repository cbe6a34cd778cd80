"""Gunicorn reads this file by itself when it is started in this folder."""

wsgi_app = "wsgi:app"
worker_class = "gthread"
workers = 2
threads = 4
# The threads of a worker share one small pool of connections to the pooler. In transaction mode an
# idle one costs PostgreSQL nothing.

# Newer releases put a control socket into the home folder; older ones ignore this line.
control_socket_disable = True
