from __future__ import annotations

import pytest

from segmentstream_api.destinations.mapping.ecommerce import Campaign, Commerce, Listing, Order
from segmentstream_api.destinations.mapping.products import Item, Product

BOOTS = {
    "id": "1234567890",
    "skuCode": "TBL6065RW",
    "name": "Timberland Boots",
    "currency": "USD",
    "unitPrice": 100,
    "unitSalePrice": 90,
    "category": ["Footwear", "Boots"],
    "manufacturer": "Timberland",
    "voucher": "MYVOUCHER1",
}
BOOTS_READ = Product(
    id="1234567890",
    sku="TBL6065RW",
    name="Timberland Boots",
    brand="Timberland",
    categories=("Footwear", "Boots"),
    currency="USD",
    price=90,
    list_price=100,
    voucher="MYVOUCHER1",
)


# Products


def test_a_product_is_read_as_the_documentation_writes_it():
    assert Commerce({"product": BOOTS, "quantity": 2}).items == (Item(BOOTS_READ, quantity=2),)


def test_a_product_is_read_as_the_browser_library_sent_it():
    wire = {**BOOTS, "category": "Footwear/Boots"}
    assert Commerce({"product": wire}).items == (Item(BOOTS_READ, quantity=1),)


@pytest.mark.parametrize(
    ("product", "read"),
    [
        ("123", Product(id="123")),
        (123, Product(id="123")),
        ({"id": 123, "unitPrice": "99.50"}, Product(id="123", price=99.5, list_price=99.5)),
        ({"skuCode": "S"}, Product(sku="S")),
        ({"name": "Boots", "brand": "B"}, Product(name="Boots", brand="B")),
        ({"id": "1", "category": ["A", 5, None, " ", "B "]}, Product("1", categories=("A", "B"))),
        ({"id": "1", "category": "A / B//C"}, Product("1", categories=("A", "B", "C"))),
        ({"id": "1", "category": "undefined"}, Product("1")),
        ({"id": "1", "vouchers": ["V1", "V2"]}, Product("1", voucher="V1,V2")),
        ({"id": "1", "currency": " usd "}, Product("1", currency="USD")),
        ({"id": "1", "currency": "US"}, Product("1")),
        ({"id": "1", "currency": "U$D"}, Product("1")),
        ({"id": "1", "currency": 840}, Product("1")),
        ({"id": "1", "unitPrice": True}, Product("1")),
        ({"id": "1", "unitPrice": "a lot"}, Product("1")),
        ({"id": "1", "unitPrice": 10**300}, Product("1")),
        ({"id": "1", "name": ["x"], "manufacturer": 5}, Product("1")),
    ],
)
def test_a_product_is_read_leniently(product, read):
    assert Commerce({"product": product}).items == (Item(read),)


@pytest.mark.parametrize("product", [None, {}, [], "", True, 1.5, {"unitPrice": 5}])
def test_what_says_neither_which_product_nor_what_it_is_called_is_none(product):
    assert Commerce({"product": product}).items == ()


def test_a_product_is_known_by_its_id_else_by_its_sku():
    assert Product(id="1", sku="2").key == "1"
    assert Product(sku="2").key == "2"


# Where the products are


@pytest.mark.parametrize(
    "event",
    [
        {"transaction": {"lineItems": [{"product": "1"}]}},
        {"cart": {"lineItems": [{"product": {"id": "1"}}]}},
        {"lineItems": [{"product": "1"}]},
        {"listItems": [{"product": "1"}]},
        {"listItem": {"product": "1"}},
        {"product": "1"},
        {"listing": {"items": [{"id": "1"}]}},
        {"listing": {"items": ["1"]}},
        {"listItems": "none", "listItem": [], "cart": {"lineItems": [None, 1.5, "1"]}},
    ],
)
def test_products_are_found_wherever_the_event_holds_them(event):
    assert Commerce(event).items == (Item(Product(id="1")),)


def test_the_events_own_product_goes_before_the_cart_that_comes_along():
    event = {"product": "added", "cart": {"lineItems": ["old", "added"], "total": 500}}
    assert [item.product.id for item in Commerce(event).items] == ["added"]
    assert Commerce(event).value is None, "the total is that of the cart"


def test_a_place_in_a_list_is_kept():
    event = {"listItem": {"product": "1", "listId": "main", "listName": "Main", "position": 3}}
    assert Commerce(event).items == (
        Item(Product("1"), list_id="main", list_name="Main", position=3),
    )
    assert Commerce(event).listing == Listing("main", "Main", query=None, categories=())


# Orders, lists, campaigns


def test_a_transaction_is_read():
    transaction = {
        "orderId": "QA-123456",
        "currency": "USD",
        "subtotal": 25000,
        "total": 26000,
        "tax": 0,
        "shippingCost": "1000.50",
        "vouchers": ["A", "B"],
        "paymentMethod": "Cash",
        "affiliation": "Shop",
        "lineItems": [],
    }
    assert Commerce({"transaction": transaction}).order == Order(
        id="QA-123456",
        currency="USD",
        total=26000,
        subtotal=25000,
        tax=0,
        shipping=1000.5,
        coupon="A,B",
        payment_method="Cash",
        affiliation="Shop",
    )


def test_a_transaction_of_the_older_form_is_read():
    order = Commerce({"transaction": {"orderId": 77, "voucher": "A,B", "total": "10"}}).order
    assert (order.id, order.coupon, order.total) == ("77", "A,B", 10)


@pytest.mark.parametrize("transaction", [None, "QA-1", [], 5, {"total": None, "voucher": ""}])
def test_no_transaction_is_nothing(transaction):
    order = Commerce({"transaction": transaction}).order
    assert order == Order(None, None, None, None, None, None, None, None, None)


def test_a_listing_is_read():
    listing = {"listId": 1, "listName": "search-results", "query": "blue boots", "category": "A/B"}
    read = Listing("1", "search-results", "blue boots", ("A", "B"))
    assert Commerce({"listing": listing}).listing == read


@pytest.mark.parametrize(
    ("event", "campaigns"),
    [
        ({"campaign": {"id": "P", "name": "Sale"}}, [Campaign("P", "Sale", None, None)]),
        ({"campaign": "P"}, [Campaign("P", None, None, None)]),
        (
            {"campaigns": ["P", {"id": 2, "design": "1000x150", "position": "top"}, None, {}]},
            [Campaign("P", None, None, None), Campaign("2", None, "1000x150", "top")],
        ),
        ({"campaigns": "none", "campaign": 5}, []),
        ({}, []),
    ],
)
def test_campaigns_are_read(event, campaigns):
    assert list(Commerce(event).campaigns) == campaigns


# What it is worth


@pytest.mark.parametrize(
    ("event", "value"),
    [
        ({"transaction": {"total": 26000, "subtotal": 25000}}, 26000),
        ({"transaction": {"subtotal": 25000}}, 25000),
        ({"transaction": {"total": 0, "subtotal": 5}}, 0),
        ({"cart": {"total": 5}}, 5),
        ({"product": {"id": "1", "unitSalePrice": 0.1}, "quantity": 3}, 0.3),
        ({"product": {"id": "1", "unitPrice": 7}}, 7),
        ({"lineItems": [{"product": {"id": "1", "unitPrice": 0.1}}] * 3}, 0.3),
        ({"lineItems": [{"product": {"id": "1", "unitPrice": 1}}, "2"]}, None),
        ({"product": "1"}, None),
        ({}, None),
    ],
)
def test_a_value_is_the_total_else_the_subtotal_else_that_of_all_products(event, value):
    assert Commerce(event).value == value


@pytest.mark.parametrize(
    ("event", "currency"),
    [
        ({"transaction": {"currency": "EUR"}, "website": {"currency": "USD"}}, "EUR"),
        ({"lineItems": ["1", {"product": BOOTS}], "website": {"currency": "EUR"}}, "USD"),
        ({"website": {"currency": "EUR"}}, "EUR"),
        ({"website": "x"}, None),
    ],
)
def test_a_currency_is_that_of_the_order_else_of_a_product_else_of_the_website(event, currency):
    assert Commerce(event).currency == currency


# Names


@pytest.mark.parametrize(
    ("name", "semantic"),
    [
        ("Completed Transaction", "Completed Transaction"),
        ("Searched", "Searched Products"),
        ("Viewed Product Category", "Viewed Product Listing"),
        ("My own", "My own"),
        (None, ""),
        (5, ""),
    ],
)
def test_old_names_count_as_todays(name, semantic):
    assert Commerce({"name": name}).name == semantic
