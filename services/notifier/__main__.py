from services.notifier.app import start

start()
