"""How late a delivery is, as a customer says ("等了三个小时", "约六点,现在九点", "3 hours late") or as we know."""

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta

from rules.numerals import ENGLISH, NUMERAL, number
from rules.timesaid import overdue

_MINUTE = timedelta(minutes=1)
# A channel fact of a complaint that our own service made: milliseconds past the order's promised time.
ORDER_LATE = "order_late_ms"
_AMOUNT = re.compile(
    r"(?P<more>超过|不止|多于|早就过了|over |more than |at least )?(?P<nth>第)?(?<![\d.:])"
    rf"(?P<number>\d{{1,4}}(?:\.\d+)?|{NUMERAL}|半|\b(?:{'|'.join(ENGLISH)}|a whole|an entire)\b)"
    r"(?P<plus>\s?\+|多|几)?\s?-?个?(?P<half>半| and a half)?(?P<plus2>多|来)?\s?"
    r"(?P<unit>小时|钟头|个?钟(?!头|表|点)|天(?!无理由|一|猫|后|天)|分钟|(?:hours?|hrs?|h|days?|minutes?|mins?)(?![a-z]))"
    rf"(?P<half2>半)?(?:(?:零|又|,|and |\s)?(?P<minutes>\d{{1,2}}|{NUMERAL})(?:分|(?=[,。!?]|$)))?"
    r"(?P<plus3>多|\+|以上|有余| plus)?"
)
_ANY_UNIT = re.compile("小时|钟|天|h|day|min")
_UNIT = {"小": 60, "钟": 60, "个": 60, "h": 60, "天": 1440, "d": 1440, "分": 1, "m": 1}
_LATE = re.compile(
    r"等|晚|迟|超时|逾|延误|拖|过了|超了|超过预计|过去|才|催|到现在|还在|仍|看了|送了|爬|(?:没|未)有?(?:人|见|看到)?(?:送|到|收|来|配|发货|影|动静|取)|"
    r"late|wait|delay|overdue|past (?:the|its)|still (?:no|has|have|wait|did|in)|behind|after the|since the|hungry|"
    r"not (?:here|arrived|delivered)|hasn't|haven't|never (?:came|arrived)|to (?:arrive|come|deliver)"
)
# Said alone it is a wait, if anything about a delivery is said at all: "四个小时!!孩子饿得直哭,骑手电话关机".
_DELIVERY = re.compile(r"骑手|外卖|外送|配送|送|餐|饭|单|饿|rider|driver|courier|deliver|order")
_EXCLAIMED = re.compile(r"^(?:了|啊|呀)?(?:[!。,]|$|才|还|late)")
_ELSEWHERE = re.compile(
    r"退款|退钱|到账|客服|回复|答复|审核|处理|发票|开票|营业|有效|保质|通知|道歉|返|冷静|累计|总共|加一块|每|升级|响|喇叭|排队|排号|等位|叫号|"
    r"上次|放了|坐了|泡|煮|睡了|门店|refund|repl(?:y|ied)|respon|support|"
    r"customer service|agent|on hold|shelf|fridge|feedback"
)
_DAYS_LATE = re.compile(
    r"(?:没|未)有?[^,。]{0,4}[送到收来影动]|才[送到收来]|还在|配送中|发货|在路上|送达|"
    r"arriv|deliver|late|(?:still|never|not) (?:here|come|came)|order"
)
_PROMISED = re.compile(r"承诺|预计|预约|保证|说好|提前|promised|within|every|per")
_PAST = re.compile(r"超过|过了|超出|past|after")
_MARGIN = re.compile(r"^(?:之?内|以内|前|一?次|达|送达|必达|后| in a row| running)")
_DAYS = re.compile(
    r"(?:昨天|昨日|昨晚|前天|上周.|周.|礼拜.|星期.)[^。!?\n]{0,24}(?:今天|今早|今日|现在)[^。!?\n]{0,12}(?:还没|没[送到影来]|未[送到收]|才[送到来]|没有[送到]|送来)|"
    r"(?:一小时|半日|当日|次日|次晨|隔日|一日|两小时)达?[^。!?\n]{0,14}(?:第[二三四五]天|[三四五六]小时达|[二三四五]日达|三天)|"
    r"(?:周|星期|礼拜)([一二三四五六日天])[^。!?]{0,16}现在[^。]{0,4}(?:周|星期|礼拜)(?!\1)|"
    r"(?:早[餐饭][^,。]{0,2}[变当成等][^,。]{0,3}[午中晚]|[午中][餐饭][^,。]{0,2}[变当成等][^,。]{0,3}(?:晚[饭餐]|夜宵)|[夜宵]{2}[变当成]了?早)|"
    r"a day late|days late|the (?:next|following) (?:day|morning)[^.]{0,30}(?:came|arriv|deliver|turned)|"
    r"since yesterday|(?:ordered|booked|for) (?:on )?(?:mon|tues|wednes|thurs|fri|satur|sun)day[^.!?]{0,40}"
    r"(?:mon|tues|wednes|thurs|fri|satur|sun)day now"
)
_FOOD = re.compile(r"退款|客服|回复|工单|投诉|反映|refund|complain|ticket|吃|喝|拉肚|吐")
_BEFORE, _AFTER, _NEAR = 10, 14, 22
_CLAUSE_END = re.compile(r"[,。!?;、:\n]|\.\s")
_OVER_A_DAY_SAID = timedelta(hours=12)


def known_lateness(channel_facts: Mapping[str, str]) -> timedelta | None:
    """How late the order is known to be; None where nobody but the customer says anything."""
    said = channel_facts.get(ORDER_LATE, "")
    return timedelta(milliseconds=int(said)) if said.isdecimal() else None


def lateness(normalised: str) -> timedelta | None:
    """The longest delay of a delivery a text (through `normalise`) speaks of, or None.

    Said as a duration, as two times of the day (promised and real), or as days. "More than two hours" is read as a
    minute above two hours. Waiting for a refund, or for an answer, is no late delivery, and neither is a promised or
    booked time; something early is no delay.
    """
    claims = list(_claims(normalised)) if _ANY_UNIT.search(normalised) else []
    claims += [each for each in overdue(normalised) if each > timedelta()]
    if (days := _DAYS.search(normalised)) and not _FOOD.search(days.group()):
        claims.append(_OVER_A_DAY_SAID)
    return max(claims, default=None)


def _claims(text: str) -> Iterator[timedelta]:
    for found in _AMOUNT.finditer(text):
        if found["unit"] == "天" and (found["number"] == "半" or found["nth"]):
            continue  # "等了半天" only means "for ages"
        before = text[max(0, found.start() - _BEFORE) : found.start()]
        after = text[found.end() : found.end() + _AFTER]
        ends = [each.end() for each in _CLAUSE_END.finditer(before)]
        clause = before[ends[-1] if ends else 0 :]
        if _ELSEWHERE.search(clause) or _ELSEWHERE.search(_CLAUSE_END.split(after)[0]) or _MARGIN.match(after):
            continue
        near = text[max(0, found.start() - _NEAR) : found.end() + _NEAR]
        if found["unit"][0] in "天d" and (not _DAYS_LATE.search(near) or _FOOD.search(near)):
            continue  # days are waited for many things
        promised = list(_PROMISED.finditer(clause))
        if promised and not (_LATE.search(clause, promised[-1].end()) or _PAST.search(clause, 0, promised[0].start())):
            continue
        alone = not clause.strip(" 整足已经都早就过了到超") and _EXCLAIMED.match(after) and _DELIVERY.search(text)
        if alone or "过了" in (found["more"] or "") or _LATE.search(before) or _LATE.search(after):
            yield _duration(found)


def _duration(found: re.Match[str]) -> timedelta:
    amount = 1.0 if found["number"] in ("a whole", "an entire") else number(found["number"])
    amount += 0.5 if found["half"] or found["half2"] else 0
    if found["nth"]:
        amount -= 1  # in the fourth hour: three are over
    length = timedelta(minutes=amount * _UNIT[found["unit"][0]])
    if found["minutes"]:
        length += number(found["minutes"]) * _MINUTE
    more = found["more"] or found["plus"] or found["plus2"] or found["plus3"] or found["nth"]
    return length + _MINUTE if more else length
