"""`python -m services.intake` serves; `python -m services.intake import FILE` sends complaints to one that does."""

import sys

from common.service import run_service
from common.settings import load_settings
from services.intake.app import main
from services.intake.bulk import main as import_file
from services.intake.settings import IntakeSettings

if sys.argv[1:2] == ["import"]:
    sys.exit(import_file(sys.argv[2:]))
settings = load_settings(IntakeSettings)
run_service("intake", settings.log_level, lambda stop: main(settings, stop))
