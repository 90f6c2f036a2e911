"""The contract's words as people say them, by language."""

from collections.abc import Mapping

Labels = Mapping[str, Mapping[str, str]]

METRICS: Labels = {
    "zh-CN": {
        "routing": "分派",
        "assignment": "指派负责人",
        "first_response": "首次回复",
        "next_response": "再次回复",
        "update": "进展同步",
        "resolution": "处理完毕",
        "callback": "回访",
    },
    "zh-TW": {
        "routing": "分派",
        "assignment": "指派負責人",
        "first_response": "首次回覆",
        "next_response": "再次回覆",
        "update": "進度同步",
        "resolution": "處理完畢",
        "callback": "回訪",
    },
    "en": {
        "routing": "routing",
        "assignment": "assignment",
        "first_response": "first response",
        "next_response": "next response",
        "update": "progress update",
        "resolution": "resolution",
        "callback": "call-back",
    },
}

CATEGORIES: Labels = {
    "zh-CN": {
        "product_quality": "商品质量",
        "delivery": "配送",
        "price": "价格",
        "promotion": "优惠活动",
        "service_attitude": "服务态度",
        "system": "系统故障",
        "missing_or_wrong": "缺货错发",
        "food_safety": "食品安全",
        "other": "其他",
    },
    "zh-TW": {
        "product_quality": "商品品質",
        "delivery": "配送",
        "price": "價格",
        "promotion": "優惠活動",
        "service_attitude": "服務態度",
        "system": "系統故障",
        "missing_or_wrong": "缺貨錯發",
        "food_safety": "食品安全",
        "other": "其他",
    },
    "en": {
        "product_quality": "product quality",
        "delivery": "delivery",
        "price": "price",
        "promotion": "promotion",
        "service_attitude": "service attitude",
        "system": "system failure",
        "missing_or_wrong": "missing or wrong items",
        "food_safety": "food safety",
        "other": "other",
    },
}

PRIORITIES: Labels = {
    "zh-CN": {"urgent": "紧急", "high": "高", "normal": "普通", "low": "低"},
    "zh-TW": {"urgent": "緊急", "high": "高", "normal": "普通", "low": "低"},
    "en": {"urgent": "urgent", "high": "high", "normal": "normal", "low": "low"},
}

DIMENSIONS: Labels = {
    "zh-CN": {"all": "全部", "region": "区域", "station": "站点", "merchant": "商家", "product": "商品"},
    "zh-TW": {"all": "全部", "region": "區域", "station": "站點", "merchant": "商家", "product": "商品"},
    "en": {
        "all": "everywhere",
        "region": "region",
        "station": "station",
        "merchant": "merchant",
        "product": "product",
    },
}

DELAY_REASONS: Labels = {
    "zh-CN": {
        "traffic": "路况拥堵",
        "weather": "天气原因",
        "busy": "配送繁忙",
        "merchant": "商家出餐较慢",
        "courier": "骑手途中遇到情况",
        "address": "地址需要确认",
        "system": "系统故障",
    },
    "zh-TW": {
        "traffic": "路況壅塞",
        "weather": "天氣原因",
        "busy": "配送繁忙",
        "merchant": "商家出餐較慢",
        "courier": "騎手途中遇到狀況",
        "address": "地址需要確認",
        "system": "系統故障",
    },
    "en": {
        "traffic": "heavy traffic",
        "weather": "the weather",
        "busy": "many orders at once",
        "merchant": "a slow kitchen",
        "courier": "an incident on the courier's way",
        "address": "a question about the address",
        "system": "a system failure",
    },
}

LABELS: Mapping[str, Labels] = {
    "metric": METRICS,
    "category": CATEGORIES,
    "priority": PRIORITIES,
    "dimension": DIMENSIONS,
    "delay_reason": DELAY_REASONS,
}
LOCALES = tuple(METRICS)
