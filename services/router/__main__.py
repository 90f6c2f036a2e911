"""`python -m services.router` serves; `python -m services.router reseal` seals what is stored with the current key."""

import sys

from services.router.app import run
from services.router.reseal import main as reseal

if sys.argv[1:2] == ["reseal"]:
    sys.exit(reseal())
run()
