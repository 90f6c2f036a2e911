"""One complaint by each channel, and one customer's words by several, from the gateway to the ticket."""

import asyncio

import pytest
from httpx import Response

from gen.pingxi.v1 import common_pb2
from gen.pingxi.v1 import ticket_service_pb2 as pb
from rules.bounds import MOST_MESSAGES
from tests.integration.channels.gateways import OPENID, PHONE, WRITER, Gateways


def number_of(response: Response) -> str:
    assert response.status_code in (200, 201), response.text
    return str(response.json()["id"])


async def test_a_text_becomes_a_ticket_a_second_one_adds_to_it_and_progress_answers(gateways: Gateways) -> None:
    long = "送来的牛奶是酸的，" * 40
    first = number_of(await gateways.sms("m1", long))
    ticket = await gateways.ticket(first)
    assert ticket.description == long
    assert ticket.contact == f"+86{PHONE}"
    assert ticket.snapshot.channel == common_pb2.CHANNEL_SMS
    second = number_of(await gateways.sms("m2", "怎么还没人理我"))
    assert number_of(await gateways.sms("m2", "怎么还没人理我")) == second
    assert [m.text for m in (await gateways.ticket(first, 2)).messages] == ["怎么还没人理我"]
    assert (await gateways.ticket(second)).snapshot.merged_into == first
    reply = (await gateways.sms("m3", "进度")).json()
    assert reply["id"] is None
    assert f"{first}）：已接收" in reply["reply"]
    other = await gateways.sms("m4", f"进度 {first}", **{"from": "13900000002"})
    assert "没有查到" in other.json()["reply"]


async def test_a_text_adds_to_the_ticket_its_sender_opened_in_the_app(gateways: Gateways) -> None:
    opened = (await gateways.form("少送了一盒鸡蛋", orderId="o-1", customerId="c-1", brand="demo")).json()
    await gateways.ticket(opened["id"])
    added = number_of(await gateways.sms("m1", "还少了葱"))
    assert [m.text for m in (await gateways.ticket(opened["id"], 2)).messages] == ["还少了葱"]
    assert (await gateways.ticket(added)).snapshot.merged_into == opened["id"]
    timeline = (await gateways.progress(opened["id"], opened["token"]))["timeline"]
    assert "还少了葱" in [entry["text"] for entry in timeline]


async def test_parts_of_a_text_are_one_ticket(gateways: Gateways) -> None:
    async def part(place: int, of: int, reference: str) -> str:
        text = f"第{place}段。"
        return number_of(await gateways.sms(f"{reference}-{place}", text, part=place, parts=of, reference=reference))

    numbers = {await part(place, 3, "a") for place in (3, 1, 2)}
    assert len(numbers) == 1
    assert (await gateways.ticket(numbers.pop())).description == "第1段。第2段。第3段。"


async def test_a_part_that_never_comes_is_marked(gateways: Gateways) -> None:
    fields = {"part": 2, "parts": 2, "reference": "b"}
    number = number_of(await gateways.sms("b-2", "后半段", **fields))
    assert (await gateways.ticket(number)).description == "…后半段"


async def test_a_call_becomes_a_ticket_once_with_its_facts(gateways: Gateways) -> None:
    responses = [await gateways.call("call-1", "客户来电：餐送错了") for _ in range(2)]
    assert responses[0].json() == responses[1].json()
    ticket = await gateways.ticket(number_of(responses[0]))
    assert ticket.description == "客户来电：餐送错了"
    assert ticket.snapshot.channel == common_pb2.CHANNEL_HOTLINE


async def test_one_order_by_form_and_by_telephone_at_once_is_one_ticket_that_both_can_follow(
    gateways: Gateways,
) -> None:
    form, call = await asyncio.gather(
        gateways.form("少送了一份饭", orderId="o-1", customerId="c-1"),
        gateways.call("call-1", "客户说少了一份饭", orderId="o-1"),
    )
    sent = {response.json()["id"]: response.json()["token"] for response in (form, call)}
    tickets = [await gateways.ticket(number) for number in sent]
    (joined,) = [ticket for ticket in tickets if ticket.snapshot.merged_into]
    (survivor,) = [ticket for ticket in tickets if not ticket.snapshot.merged_into]
    assert joined.snapshot.merged_into == survivor.id
    both = await gateways.ticket(survivor.id, 2)
    assert {both.description, *(m.text for m in both.messages if m.public)} == {"少送了一份饭", "客户说少了一份饭"}
    async with gateways.world.api() as api:
        change = pb.Change(ticket_id=survivor.id, actor=common_pb2.Actor(kind=common_pb2.Actor.KIND_AGENT, id="li"))
        await api.call("Reply", pb.ReplyRequest(change=change, text="马上补送"))
    for number, token in sent.items():
        told = await gateways.progress(number, token)
        assert told["id"] == number
        assert told["status"] == "in_progress"
        assert "马上补送" in [entry["text"] for entry in told["timeline"]]


@pytest.mark.parametrize("sealed", [False, True])
async def test_a_followers_message_becomes_a_ticket_and_is_answered(gateways: Gateways, sealed: bool) -> None:
    answer = await gateways.wechat("1001", "送来的菜是烂的", sealed=sealed)
    assert answer["ToUserName"] == OPENID
    again = await gateways.wechat("1001", "送来的菜是烂的", sealed=sealed)
    assert again["Content"] == answer["Content"]
    number = answer["Content"].partition("工单号 ")[2].partition("，")[0]
    ticket = await gateways.ticket(number)
    assert (ticket.description, ticket.contact) == ("送来的菜是烂的", f"wx:{OPENID}")
    await gateways.wechat("1002", "图片在这里", sealed=sealed)
    assert [m.text for m in (await gateways.ticket(number, 2)).messages] == ["图片在这里"]
    progress = await gateways.wechat("1003", "进度", sealed=sealed)
    assert f"{number}）：已接收" in progress["Content"]


async def test_a_mail_becomes_a_ticket_and_the_reply_to_it_adds_to_it(gateways: Gateways) -> None:
    await gateways.mail("<first@example.com>", "上周买的米里有很多碎石子，请处理。", Subject="投诉")
    (found,) = await gateways.tickets_of(WRITER, 1)
    opened = await gateways.ticket(found.id)
    assert opened.contact == WRITER
    assert "碎石子" in opened.description
    assert opened.snapshot.channel == common_pb2.CHANNEL_MAIL
    await gateways.mail(
        "<second@example.com>", "再补充一句：两袋都是这样。", Subject="Re: 投诉", In_Reply_To="<first@example.com>"
    )
    ticket = await gateways.ticket(opened.id, 2)
    assert [m.text for m in ticket.messages if m.public] == ["再补充一句：两袋都是这样。"]


async def test_a_complaint_takes_in_so_many_messages_has_them_all_and_then_says_so(gateways: Gateways) -> None:
    opened = (await gateways.form("餐送错了", customerId="c-full")).json()
    path, params = f"/api/complaint/{opened['id']}/messages", {"token": opened["token"]}
    texts = [f"第{place}条" for place in range(MOST_MESSAGES)]
    said = [{"text": text} for text in texts]
    answers = await asyncio.gather(*(gateways.client.post(path, params=params, json=each) for each in said))
    assert {answer.status_code for answer in answers} == {201}
    full = await gateways.ticket(opened["id"], 1 + MOST_MESSAGES)
    assert sorted(message.text for message in full.messages) == sorted(texts)
    one_more = await gateways.client.post(path, params=params, json={"text": "还有"})
    assert (one_more.status_code, one_more.json()["code"]) == (409, "too_many_messages")
