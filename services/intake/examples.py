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
