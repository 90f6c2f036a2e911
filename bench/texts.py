"""What the load says: complaints as customers write them, different from each other."""

_SAID = (
    ("配送", "外卖晚了四十分钟还没有到，骑手电话也打不通"),
    ("商品质量", "青菜叶子都黄了，苹果有三个是烂的"),
    ("价格", "页面写的满减没有算进去，多收了我八块钱"),
    ("客服态度", "打了三次电话，客服说话很不耐烦，直接挂断"),
    ("其他", "需要开发票，一直没有人回复我"),
)


def complaint(index: int) -> dict[str, str]:
    """The body of one complaint; customers and orders differ, so that none belongs to another's ticket."""
    declared, text = _SAID[index % len(_SAID)]
    return {
        "type": declared,
        "description": f"{text}（{index}）",
        "contact": f"138{index % 10**8:08}",
        "orderId": f"bench-{index}",
        "customerId": f"bench-{index}",
    }
