"""Every call of an SDK for Python, once: program, package, host, write key. Prints the errors."""

import importlib
import json
import sys

package, host, key = sys.argv[1:]
sdk = importlib.import_module(package)
errors = []
options = {
    "on_error": lambda error, _items: errors.append(str(error)),
    "max_retries": 3,
    "timeout": 10,
}
if package == "segment.analytics":
    client = sdk.Client(key, host=host, **options)
else:
    client = importlib.import_module("rudderstack.analytics.client").Client(
        key, host=host, **options
    )
order = {
    "order_id": "O-1",
    "revenue": 25.5,
    "currency": "USD",
    "products": [{"product_id": "p1", "price": 10, "quantity": 2}],
}
client.identify("u-1", {"email": "a@example.com"})
client.track("u-1", "Order Completed", order)
client.page("u-1", "Docs", "Python", {"url": "https://shop.example.com/p"})
client.screen("u-1", "Home", "Main", {"a": 1})
client.group("u-1", "g-1", {"name": "Acme"})
client.alias("anon-1", "u-1")
client.flush()
client.join()
print(json.dumps(errors))
