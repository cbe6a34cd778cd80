"""The embedded provider: a real PostgreSQL, and a real PgBouncer in front of it, on this machine.

``servers`` is the way in; the other modules each know one thing: where programs are
(``postgres_binaries``, ``pgbouncer_binary``, ``debian``), as whom they run (``account``), how a
process is started, recognised and ended (``processes``, ``detach``), which files are kept
(``files``, ``certificates``), each of the two servers (``postgres``, ``pgbouncer``), roles
(``roles``) and what the servers counted (``counters``).
"""
