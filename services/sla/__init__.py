"""The watchdog of promises, and the compensation of broken ones."""
