"""`python -m services.sla` serves; `python -m services.sla rehearse FOLDER` rehearses a changed policy."""

import sys

from common.service import run_service
from common.settings import load_settings
from services.sla import rehearse
from services.sla.app import main
from services.sla.settings import SlaSettings

if sys.argv[1:2] == ["rehearse"]:
    sys.exit(rehearse.main(sys.argv[2:]))
settings = load_settings(SlaSettings)
run_service("sla", settings.log_level, lambda stop: main(settings, stop))
