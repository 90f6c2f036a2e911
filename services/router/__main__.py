"""`python -m services.router` serves."""

from services.router.app import run

run()
