from common.service import run_service
from common.settings import load_settings
from services.sla.app import main
from services.sla.settings import SlaSettings

settings = load_settings(SlaSettings)
run_service("sla", settings.log_level, lambda stop: main(settings, stop))
