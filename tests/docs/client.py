"""What the programs on a page's PATH are: hands its arguments to the zygote.

Run by ``python -I -S``: the path of the socket, the program's name, its arguments.
"""

import json
import os
import socket
import sys

with socket.socket(socket.AF_UNIX) as zygote:
    zygote.connect(sys.argv[1])
    request = {"argv": sys.argv[2:], "folder": os.getcwd(), "environ": dict(os.environ)}
    data = json.dumps(request).encode() + b"\n"
    sent = socket.send_fds(zygote, [data], [0, 1, 2])
    zygote.sendall(data[sent:])
    answer = b""
    while not answer.endswith(b"\n"):
        part = zygote.recv(64)
        if not part:
            sys.exit("the zygote has gone")
        answer += part
status = int(answer)
sys.exit(status if status >= 0 else 128 - status)
