"""What the calls look like, for the description at /docs. A test sends each of them."""

TICKET = "7K3M-9QXZ-4TPC-5"

COMPLAINT: dict[str, object] = {
    "type": "商品质量",
    "description": "牛奶变质了",
    "contact": "13800138000",
    "orderId": "A-1001",
}
FEEDBACK: dict[str, object] = {"type": "配送", "customerId": "c-42"}
MESSAGE: dict[str, object] = {"text": "照片里能看到生产日期"}
RATING: dict[str, object] = {"score": 5, "resolved": True, "comment": "处理得很快"}

_AT, _ANSWER_BY, _RESOLVE_BY = (
    "2026-11-22T12:00:00.000000Z",
    "2026-11-22T12:10:00.000000Z",
    "2026-11-24T12:00:00.000000Z",
)
_PROMISE = {"firstResponseBy": _ANSWER_BY, "resolveBy": _RESOLVE_BY}

RECEIPT: dict[str, object] = {
    "success": True,
    "id": TICKET,
    "token": "AQcXk0qDZ0m1dZ0wYwQ3vK4s",
    "acknowledgedAt": _AT,
    "promise": _PROMISE,
}
PROGRESS: dict[str, object] = {
    "id": TICKET,
    "status": "in_progress",
    "statusText": "处理中",
    "type": "product_quality",
    "promise": _PROMISE,
    "timeline": [
        {"at": _AT, "kind": "received", "text": "我们已收到您的投诉", "images": ["0fJq3xk2T5yQm8vW1aZb7Q"]},
        {"at": "2026-11-22T12:04:10.000000Z", "kind": "replied", "text": "非常抱歉……", "images": []},
    ],
    "compensation": [
        {
            "id": "9f1c",
            "amount": {"currency": "CNY", "amountMinor": 1000},
            "reason": "red_first_response",
            "state": "published",
            "at": "2026-11-22T12:10:10.000000Z",
        }
    ],
    "canRate": False,
}
PAGE: dict[str, object] = {
    "complaints": [
        {
            "id": TICKET,
            "status": "resolved",
            "statusText": "已解决",
            "type": "delivery",
            "orderId": "A-1001",
            "acknowledgedAt": _AT,
            "promise": _PROMISE,
            "continuedAs": None,
            "canRate": True,
        }
    ],
    "nextPageToken": None,
}
MESSAGE_RECEIPT: dict[str, object] = {
    "success": True,
    "messageId": "5d0c0f1c7e1b4b0f8a2d3c4b5a697887",
    "receivedAt": _AT,
}
RATING_RECEIPT: dict[str, object] = {
    "success": True,
    "ratingId": "c1a7e0d25b8f4e3c9d6a5b4c3d2e1f00",
    "receivedAt": _AT,
    "reopens": False,
}
UPLOAD: dict[str, object] = {"id": "0fJq3xk2T5yQm8vW1aZb7Q"}
