from common.service import run_service
from common.settings import load_settings
from services.intake.app import main
from services.intake.settings import IntakeSettings

settings = load_settings(IntakeSettings)
run_service("intake", settings.log_level, lambda stop: main(settings, stop))
