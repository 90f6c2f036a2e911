"""`python -m examples.loyalty_consumer` consumes; `… redeem VOUCHER ORDER` uses a voucher up, as a till would;
`… balance CUSTOMER` prints what a customer has."""

import asyncio
import logging
import signal
import sys

from examples.loyalty_consumer.consumer import Loyalty
from examples.loyalty_consumer.settings import Settings, load
from examples.loyalty_consumer.store import Store


async def serve(settings: Settings) -> None:
    """Until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    store = Store(settings.database, settings.closed_accounts)
    try:
        await Loyalty(settings, store).run(stop)
    finally:
        store.close()


def main(arguments: list[str]) -> int:
    """0, or 1 where a voucher can't be used."""
    settings = load()
    match arguments:
        case []:
            logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
            asyncio.run(serve(settings))
        case ["redeem", voucher_id, order_id]:
            store = Store(settings.database)
            done = store.redeem(voucher_id, order_id)
            sys.stdout.write("redeemed\n" if done else "not there to be used\n")
            store.close()
            return 0 if done else 1
        case ["balance", customer]:
            store = Store(settings.database)
            amount, points = store.balance(customer)
            sys.stdout.write(f"{amount / 100:.2f} and {points} points\n")
            store.close()
        case _:
            sys.stderr.write(f"{__doc__}\n")
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
