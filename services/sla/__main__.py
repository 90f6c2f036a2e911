"""`python -m services.sla` serves; `… rehearse FOLDER` rehearses a changed policy, `… risk` says who may be late,
`… rebuild-ledger` reads the ledger back from the topics."""

import gc
import sys

from common.service import run_service
from common.settings import load_settings
from services.sla import rehearse
from services.sla.app import main
from services.sla.compensation import rebuild
from services.sla.risk import command
from services.sla.settings import SlaSettings

if sys.argv[1:2] == ["rehearse"]:
    sys.exit(rehearse.main(sys.argv[2:]))
if sys.argv[1:2] == ["risk"]:
    sys.exit(command.main())
if sys.argv[1:2] == ["rebuild-ledger"]:
    sys.exit(rebuild.main(sys.argv[2:]))
# The youngest garbage is collected as always, the whole heap rarely: see `due.py`.
gc.set_threshold(20_000, 50, 1_000)
settings = load_settings(SlaSettings)
run_service("sla", settings.log_level, lambda stop: main(settings, stop))
