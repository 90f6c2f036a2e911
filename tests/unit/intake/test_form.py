"""Every wrong input names its field, all at once, and never quotes what was sent."""

from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf.duration_pb2 import Duration

from common.errors import Invalid
from common.words import to_timestamp
from gen.pingxi.v1.intake_pb2 import SubmitComplaintRequest
from rules.lateness import known_lateness
from services.intake.fields import check_key
from services.intake.form import check_grpc, check_http
from services.intake.wire import fields_of
from tests.unit.intake.fakes import BODY, CONTACT, TEXT, desk

TYPES = (
    "must be one of 商品质量, 配送, 价格, 客服态度, 其他, product_quality, delivery, price, promotion, "
    "service_attitude, system, missing_or_wrong, food_safety, other"
)
TEXT_WANTED = "must be a text"


def problems(fields: dict[str, object], caller: str = "app") -> dict[str, str]:
    with pytest.raises(Invalid) as refused:
        check_http(fields, desk(caller))
    return {problem.field: problem.message for problem in refused.value.problems}


def test_the_least_a_customer_has_to_say() -> None:
    submission = check_http(BODY, desk())
    assert submission.description == TEXT
    assert submission.contact == "+8613800138000"
    assert (submission.brand, submission.channel, submission.locale) == ("default", "app", "zh-CN")
    assert submission.occurred_at is None
    assert submission.images == ()


def test_everything_a_customer_may_say() -> None:
    submission = check_http(
        {
            **BODY,
            "type": "delivery",
            "orderId": " O-1 ",
            "images": ["a", "b", "c"],
            "customerId": "u1",
            "brand": "demo",
            "region": "hz",
            "merchantId": "m1",
            "productId": "p1",
            "channel": "app",
            "occurredAt": "2026-11-22T20:00:00.5+08:00",
            "locale": "en",
        },
        desk(),
    )
    assert submission.order_id == "O-1"
    assert submission.images == ("a", "b", "c")
    assert submission.brand == "demo"
    assert submission.declared == "delivery"
    assert submission.occurred_at == datetime(2026, 11, 22, 12, 0, 0, 500_000, tzinfo=UTC)
    assert submission.locale == "en"


@pytest.mark.parametrize("field", ["type", "description", "contact"])
def test_a_missing_field_is_named(field: str) -> None:
    assert problems({name: value for name, value in BODY.items() if name != field}) == {field: "is required"}


@pytest.mark.parametrize(
    "field",
    ["type", "description", "contact", "orderId", "customerId", "brand", "region", "merchantId", "productId", "channel",
     "occurredAt", "locale"],
)  # fmt: skip
@pytest.mark.parametrize("value", [1, 1.5, True, [], ["x"], {}, {"a": 1}])
def test_a_field_of_the_wrong_type_is_named(field: str, value: object) -> None:
    assert problems({**BODY, field: value}) == {field: TEXT_WANTED}


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        ("a", {"images": "must be a list of texts"}),
        ({"a": 1}, {"images": "must be a list of texts"}),
        (["a", 2], {"images[1]": TEXT_WANTED}),
        (["a", "b", "c", "d"], {"images": "must be at most 3"}),
        ([1] * 100_000, {"images": "must be at most 3"}),
        (["../etc"], {"images": "must be ids of uploads"}),
        ([""], {"images": "must be ids of uploads"}),
    ],
)
def test_wrong_images_are_named(images: object, expected: dict[str, str]) -> None:
    assert problems({**BODY, "images": images}) == expected


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("type", "", TYPES),
        ("type", "Qualität", TYPES),
        ("type", "商品品質問題", TYPES),
        ("type", "质量" * 500_000, TYPES),
        ("description", "好" * 201, "must have at most 200 characters"),
        ("description", "", "must not be blank"),
        ("description", " \n\t　", "must not be blank"),
        ("description", "\u200b\u200e\x00", "must not be blank"),
        ("description", "坏了\ud800", "must be valid Unicode"),
        ("contact", "", "must not be blank"),
        ("contact", "nobody", "must be a phone number or a mail address"),
        ("contact", "12345", "must be a phone number or a mail address"),
        ("contact", "a@b", "must be a phone number or a mail address"),
        ("contact", "1" * 255, "must have at most 254 characters"),
        ("orderId", "x" * 65, "must have at most 64 characters"),
        ("customerId", "a\nb", "must not have control characters"),
        ("merchantId", "\ud800", "must not have control characters"),
        ("contact", "a\ud800@b.com", "must be a phone number or a mail address"),
        ("region", "x" * 65, "must have at most 64 characters"),
        ("productId", "x" * 65, "must have at most 64 characters"),
        ("brand", "nobody", "no such brand"),
        ("channel", "pigeon", "must be one of app, miniprogram, web, hotline, sms, mail, wechat, system"),
        ("channel", "sms", "must be the channel of the key, or absent"),
        ("locale", "fr", "must be one of zh-CN, zh-TW, en"),
        *[
            ("occurredAt", value, "must be a date and time as in RFC 3339, such as 2026-11-22T12:00:00Z")
            for value in ("yesterday", "2026-11-22", "2026-11-22T12:00:00", "2026-02-30T12:00:00Z", "1732276800",
                          "2026-11-22T25:00:00Z", "0001-01-01T00:00:00+14:00", "２０２６-11-22T12:00:00Z")
        ],
        ("contcat", CONTACT, "is not a known field"),
        ("order_id", "O-1", "is not a known field"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named(field: str, value: str, message: str) -> None:
    assert problems({**BODY, field: value}) == {field: message}


def test_all_problems_are_named_at_once() -> None:
    assert set(problems({"type": "x", "description": 1, "brand": "nobody", "extra": 1, "locale": "fr"})) == {
        "type", "description", "contact", "brand", "extra", "locale",
    }  # fmt: skip


def test_no_message_quotes_what_was_sent() -> None:
    secret = "13800138000x"
    told = problems({**dict.fromkeys(BODY, secret + "!" * 300), "brand": secret, "channel": secret, secret: secret})
    assert "13800138000" not in str(told)


def test_two_hundred_characters_fit_whatever_surrounds_them() -> None:
    assert len(check_http({**BODY, "description": "  " + "好" * 200 + "\n"}, desk()).description) == 200


def test_what_a_form_left_empty_or_null_is_not_given() -> None:
    optional = [
        "orderId",
        "customerId",
        "brand",
        "region",
        "merchantId",
        "productId",
        "channel",
        "occurredAt",
        "locale",
    ]
    plain = check_http(BODY, desk())
    assert check_http({**BODY, **dict.fromkeys(optional, "")}, desk()) == plain
    assert check_http({**BODY, **dict.fromkeys([*optional, "images"], None)}, desk()) == plain


@pytest.mark.parametrize("caller", ["hotline", "system"])
def test_the_hotline_and_services_may_name_another_channel(caller: str) -> None:
    assert check_http({**BODY, "channel": "mail"}, desk(caller)).channel == "mail"
    assert check_http(BODY, desk(caller)).channel == caller


def test_grpc_names_fields_as_the_proto_does() -> None:
    request = SubmitComplaintRequest(type="x", contact=CONTACT, order_id="x" * 65, images=["a"] * 4)
    request.occurred_at.seconds = 1 << 60
    with pytest.raises(Invalid) as refused:
        check_grpc(fields_of(request), desk())
    assert [(p.field, p.message) for p in refused.value.problems] == [
        ("type", TYPES),
        ("description", "is required"),
        ("order_id", "must have at most 64 characters"),
        ("images", "must be at most 3"),
        ("occurred_at", "must be a date and time as in RFC 3339, such as 2026-11-22T12:00:00Z"),
    ]


def test_grpc_and_http_make_the_same_of_the_same_complaint() -> None:
    at = datetime(2026, 11, 22, 12, 0, tzinfo=UTC) + timedelta(microseconds=7)
    request = SubmitComplaintRequest(
        type="配送", description=TEXT, contact=CONTACT, order_id="O-1", images=["a"], customer_id="u1",
        occurred_at=to_timestamp(at), idempotency_key="k",
    )  # fmt: skip
    body = {"type": "配送", "description": TEXT, "contact": CONTACT, "orderId": "O-1", "images": ["a"],
            "customerId": "u1", "occurredAt": "2026-11-22T12:00:00.000007Z"}  # fmt: skip
    assert check_grpc(fields_of(request), desk()) == check_http(body, desk())


@pytest.mark.parametrize("key", ["a", "x" * 255, "6f9619ff-8b86-d011", '"quoted"'])
def test_a_visible_key_is_right(key: str) -> None:
    assert check_key(key, "Idempotency-Key") is None


@pytest.mark.parametrize("key", ["", "x" * 256, "a b", "键", "a\n", "\x7f"])
def test_any_other_key_is_named(key: str) -> None:
    problem = check_key(key, "Idempotency-Key")
    assert problem is not None
    assert problem.field == "Idempotency-Key"


LATE = {
    "type": "delivery", "description": TEXT, "customer_id": "u1", "order_id": "O-1", "channel": "system",
    "order_late": Duration(seconds=7201),
}  # fmt: skip


def late_order(**changed: object) -> SubmitComplaintRequest:
    return SubmitComplaintRequest(**{**LATE, **changed})  # type: ignore[arg-type]


def test_another_service_may_complain_about_an_order_without_a_contact_and_say_how_late_it_is() -> None:
    submission = check_grpc(fields_of(late_order()), desk("system"))
    assert (submission.contact, submission.customer_id, submission.channel) == ("", "u1", "system")
    assert known_lateness(dict(submission.channel_facts)) == timedelta(seconds=7201)
    assert check_grpc(fields_of(late_order(contact=CONTACT)), desk("system")).contact == "+8613800138000"


def test_somebody_has_to_be_named() -> None:
    with pytest.raises(Invalid) as refused:
        check_grpc(fields_of(late_order(customer_id="")), desk("system"))
    assert [(p.field, p.message) for p in refused.value.problems] == [("contact", "this or customer_id is required")]


@pytest.mark.parametrize("caller", ["app", "hotline"])
def test_nobody_else_may_say_how_late_an_order_is_or_leave_the_contact_out(caller: str) -> None:
    with pytest.raises(Invalid) as refused:
        check_grpc(fields_of(late_order(channel="")), desk(caller))
    assert {(p.field, p.message) for p in refused.value.problems} == {
        ("contact", "is required"),
        ("order_late", "is not a known field"),
    }


def test_a_lateness_below_zero_is_named() -> None:
    with pytest.raises(Invalid) as refused:
        check_grpc(fields_of(late_order(order_late=Duration(seconds=-1))), desk("system"))
    assert [p.field for p in refused.value.problems] == ["order_late"]
