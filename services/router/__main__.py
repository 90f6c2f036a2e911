"""`python -m services.router` serves; `… classify`, `… corrections` and `… reseal` are said in README.md."""

import sys

from services.router import classify, corrected
from services.router.app import run
from services.router.reseal import main as reseal

COMMANDS = {"classify": classify.main, "corrections": corrected.main, "reseal": reseal}

if len(sys.argv) == 1:
    run()
elif sys.argv[1] in COMMANDS and len(sys.argv) == 2:
    sys.exit(COMMANDS[sys.argv[1]]())
else:
    sys.exit(f"usage: python -m services.router [{' | '.join(COMMANDS)}]")
