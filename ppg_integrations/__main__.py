"""``python -m ppg_integrations`` is ``ppg-connect``."""

import sys

from .cli import main

sys.exit(main())
