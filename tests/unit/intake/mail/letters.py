# ruff: noqa: E501 (the lines of mails are as long as they are)
"""Mails as real programs write them, broken ones included, and what is to become of each. All written for this."""

import base64
import quopri
from dataclasses import dataclass, field

JPEG = b"\xff\xd8\xff\xe0 not quite a picture"
PNG = b"\x89PNG\r\n\x1a\n not quite a picture"
FROM = "Zhang San <zhangsan@qq.com>"


@dataclass(frozen=True)
class Letter:
    """`words`: the description that comes of it, before notes; `reason`: why no ticket does."""

    name: str
    raw: bytes
    words: str = ""
    reason: str | None = None
    facts: dict[str, object] = field(default_factory=dict)


def mail(*headers: str | bytes, body: str | bytes = b"", charset: str = "utf-8") -> bytes:
    """A mail of these header lines (From and To are added where they are missing) and this body, unencoded."""
    lines = [line.encode() if isinstance(line, str) else line for line in headers]
    for name, line in ((b"from:", f"From: {FROM}"), (b"to:", "To: complaint@xiaoxiang.example")):
        if not any(each.lower().startswith(name) for each in lines):
            lines.insert(0, line.encode())
    content = body.encode(charset) if isinstance(body, str) else body
    return b"\r\n".join(lines) + b"\r\n\r\n" + content.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def word(text: str, charset: str, kind: str = "B") -> str:
    """An encoded word."""
    data = text.encode({"gb2312": "gb18030"}.get(charset, charset))
    if kind == "Q":
        return f"=?{charset}?Q?" + "".join(f"={byte:02X}" for byte in data) + "?="
    return f"=?{charset}?B?{base64.b64encode(data).decode()}?="


def text_part(text: str, charset: str = "utf-8", kind: str = "plain", declared: str | None = None) -> bytes:
    data = base64.encodebytes(text.encode(charset))
    head = f'Content-Type: text/{kind}; charset="{declared or charset}"\nContent-Transfer-Encoding: base64\n\n'
    return head.encode() + data


def file_part(content: bytes, kind: str, *, name: str = "", inline: bool = False) -> bytes:
    how = "inline" if inline else "attachment"
    named = f'; filename="{name}"' if name else ""
    head = f"Content-Type: {kind}\nContent-Transfer-Encoding: base64\nContent-Disposition: {how}{named}\n\n"
    return head.encode() + base64.encodebytes(content)


def multipart(kind: str, *parts: bytes, boundary: str = "----=_Part_1", closed: bool = True) -> bytes:
    """A part of parts, its header included."""
    head = f'Content-Type: multipart/{kind}; boundary="{boundary}"\n\n'.encode()
    inner = b"".join(b"--" + boundary.encode() + b"\n" + part + b"\n" for part in parts)
    return head + inner + (b"--" + boundary.encode() + b"--\n" if closed else b"")


def with_parts(*headers: str, parts: bytes) -> bytes:
    """A mail whose last header and body are `parts`."""
    head, _, body = parts.partition(b"\n\n")
    return mail(*headers, head, body=body)


def plain(charset: str = "utf-8") -> str:
    return f"Content-Type: text/plain; charset={charset}"


def html(markup: str, *headers: str, charset: str = "utf-8") -> bytes:
    return mail(f"Content-Type: text/html; charset={charset}", *headers, body=markup)


ROTTEN = "牛奶已经变质，孩子喝了不舒服，要求退款"
ROTTEN_TRADITIONAL = "牛奶已經變質，小孩喝了不舒服，要求退款"
ENGLISH = "The milk had turned sour and my child got sick. I want a refund."
JAPANESE = "牛乳が腐っていました。返金してください。"
RE = f"Subject: {word('回复：您的投诉', 'utf-8')}"
SUBJECT = "Subject: "

CHARSETS = [
    Letter("GB2312 that is GB2312", mail(plain("gb2312"), body=ROTTEN.encode("gb2312")), ROTTEN),
    Letter(
        "GB2312 that is GB18030, with a rare name and an emoji",
        mail(plain("gb2312"), body="朱镕喆的订单😡牛奶坏了".encode("gb18030")),
        "朱镕喆的订单😡牛奶坏了",
    ),
    Letter("GBK in quoted-printable", mail(
        plain("GBK"), "Content-Transfer-Encoding: quoted-printable", body=quopri.encodestring(ROTTEN.encode("gbk")),
    ), ROTTEN),
    Letter("Big5", mail(plain("big5"), body=ROTTEN_TRADITIONAL.encode("big5")), ROTTEN_TRADITIONAL,
           facts={"locale": "zh-TW"}),
    Letter("Big5 of Hong Kong", mail(plain("big5"), body="啲牛奶壞咗喇，要退錢".encode("big5hkscs")),
           "啲牛奶壞咗喇，要退錢", facts={"locale": "zh-TW"}),
    Letter("Big5 declared as GB2312", mail(plain("gb2312"), body=ROTTEN_TRADITIONAL.encode("big5")),
           ROTTEN_TRADITIONAL),
    Letter("ISO-2022-JP", mail(plain("iso-2022-jp"), body=JAPANESE.encode("iso2022_jp")), JAPANESE),
    Letter("ISO-2022-JP that nobody declared", mail(body=JAPANESE.encode("iso2022_jp")), JAPANESE),
    Letter("Shift JIS", mail(plain("shift_jis"), body=JAPANESE.encode("cp932")), JAPANESE),
    Letter("UTF-8 declared as GB2312", mail(plain("gb2312"), body=ROTTEN), ROTTEN),
    Letter("GBK declared as UTF-8", mail(plain("utf-8"), body=ROTTEN.encode("gbk")), ROTTEN),
    Letter("GBK declared as ISO-8859-1", mail(plain("iso-8859-1"), body=ROTTEN.encode("gbk")), ROTTEN),
    Letter("UTF-8 that nobody declared", mail(body=ROTTEN), ROTTEN),
    Letter("GBK of four letters that nobody declared", mail(body="牛奶坏了".encode("gbk")), "牛奶坏了"),
    Letter("a charset that doesn't exist", mail(plain("x-nonsense-7"), body=ROTTEN.encode("gbk")), ROTTEN),
    Letter("a codec that is no charset", mail(plain("rot13"), body=ENGLISH), ENGLISH, facts={"locale": "en"}),
    Letter("UTF-8 with a byte order mark", mail(plain(), body=b"\xef\xbb\xbf" + ROTTEN.encode()), ROTTEN),
    Letter("UTF-16", mail(plain("utf-16"), "Content-Transfer-Encoding: base64",
                          body=base64.encodebytes(ROTTEN.encode("utf-16"))), ROTTEN),
    Letter("HZ", mail(plain("hz-gb-2312"), body="牛奶坏了".encode("hz")), "牛奶坏了"),
    Letter("a few wrong bytes in GB18030", mail(plain("gb18030"), body=ROTTEN.encode("gbk") + b"\xff"),
           ROTTEN + "\ufffd"),
    Letter("Western European", mail(plain("iso-8859-1"), body="Le café était froid".encode("cp1252")),
           "Le café était froid"),
    Letter("Windows quotes declared as ISO-8859-1",
           mail(plain("iso-8859-1"), body="It’s “cold” – again".encode("cp1252")), "It’s “cold” – again"),
]  # fmt: skip

SUBJECTS = [
    Letter("an encoded subject goes before the text",
           mail(SUBJECT + word("牛奶坏了", "gb2312"), plain(), body="请退款"), "牛奶坏了\n请退款"),
    Letter("encoded words cut in the middle of a letter", mail(
        "Subject: =?utf-8?B?54mb5aU=?=\r\n =?utf-8?B?tuWdj+S6hg==?=", plain(), body="请退款"), "牛奶坏了\n请退款"),
    Letter("a quoted-printable subject in GBK", mail(SUBJECT + word("牛奶坏了", "gbk", "Q"), body="x1"), "牛奶坏了\nx1"),
    Letter("a subject in raw GBK", mail(b"Subject: " + "牛奶坏了".encode("gbk"), body="x1"), "牛奶坏了\nx1"),
    Letter("a subject in raw UTF-8", mail("Subject: 牛奶坏了", body="x1"), "牛奶坏了\nx1"),
    Letter("a broken encoded word", mail("Subject: =?utf-8?B?!!?= sour milk", plain(), body=ENGLISH), "sour milk\n" + ENGLISH),
    Letter("all of it is in the subject", mail("Subject: 牛奶坏了，请退款", plain(), body=""), "牛奶坏了，请退款"),
    Letter("the subject again in the text", mail("Subject: 牛奶坏了", plain(), body="牛奶坏了，请退款"), "牛奶坏了，请退款"),
]  # fmt: skip

QUOTES = [
    Letter("Gmail in Chinese", mail(RE, plain(), body=(
        "还是没有收到退款\n\n小象买菜 <complaint@xiaoxiang.example> 于2026年11月22日周日 下午8:00写道：\n\n> 您好\n> 已收到\n"
    )), "还是没有收到退款"),
    Letter("Gmail in English, its line broken", mail(RE, plain(), body=(
        "Still no refund.\n\nOn Sun, Nov 22, 2026 at 8:00 PM Xiaoxiang Grocer\n<complaint@xiaoxiang.example> wrote:\n\n"
        "> Hello\n"
    )), "Still no refund."),
    Letter("Gmail's HTML", html(
        '<div dir="ltr">还是没有收到退款</div><br><div class="gmail_quote"><div class="gmail_attr">小象 于2026年写道：<br>'
        '</div><blockquote class="gmail_quote">您好</blockquote></div>', RE), "还是没有收到退款"),
    Letter("Outlook in Chinese", mail(RE, plain(), body=(
        "还是没有收到退款\n\n________________________________\n发件人: 小象买菜 <complaint@xiaoxiang.example>\n"
        "发送时间: 2026年11月22日 20:00\n收件人: Zhang San\n主题: 您的投诉\n\n您好，已收到"
    )), "还是没有收到退款"),
    Letter("Outlook in Traditional Chinese", mail(RE, plain(), body=(
        "還是沒有收到退款\n\n寄件者: 小象買菜 <complaint@xiaoxiang.example>\n傳送時間: 2026年11月22日\n收件者: Zhang\n主旨: 投訴\n您好"
    )), "還是沒有收到退款"),
    Letter("Outlook in English", mail(RE, plain(), body=(
        "Still no refund.\n\n-----Original Message-----\nFrom: Xiaoxiang\nSent: Sunday\nTo: me\nSubject: yours\n\nHello"
    )), "Still no refund."),
    Letter("QQ mail", mail(RE, plain("gb18030"), body=(
        '还是没有收到退款\n\n\n\n------------------ 原始邮件 ------------------\n发件人: "小象"<complaint@xiaoxiang.example>;\n'
        '发送时间: 2026年11月22日(星期天) 晚上8:00\n收件人: "张三"<zhangsan@qq.com>;\n主题: 您的投诉\n\n您好'
    ), charset="gb18030"), "还是没有收到退款"),
    Letter("QQ mail's HTML", with_parts(RE, parts=multipart(
        "alternative",
        text_part("还是没有收到退款\n\n\n------------------&nbsp;原始邮件&nbsp;------------------\n您好", "gb18030"),
        text_part("<div>还是没有收到退款</div><div>&nbsp;</div><includetail><div>------------------&nbsp;原始邮件&nbsp;"
                  "------------------</div><div>您好，我们已经收到您的投诉，正在处理</div></includetail>", "gb18030", "html"),
    )), "还是没有收到退款"),
    Letter("NetEase", mail(RE, plain(), body=(
        '还是没有收到退款\n\n\n\n\n\n在 2026-11-22 20:00:00，"小象买菜" <complaint@xiaoxiang.example> 写道：\n您好\n已收到'
    )), "还是没有收到退款"),
    Letter("NetEase in English", mail(RE, plain(), body=(
        '还是没有收到退款\nAt 2026-11-22 20:00:00, "Xiaoxiang" <complaint@xiaoxiang.example> wrote:\n>您好\n>已收到'
    )), "还是没有收到退款"),
    Letter("NetEase's mail master", mail(RE, plain(), body=(
        "还是没有收到退款\n---- 回复的原邮件 ----\n| 发件人 | 小象 |\n| 日期 | 2026年11月22日 |\n| 主题 | 投诉 |\n您好"
    )), "还是没有收到退款"),
    Letter("Apple Mail and its signature", mail(RE, plain(), body=(
        "还是没有收到退款\n\n发自我的 iPhone\n\n> 在 2026年11月22日，20:00，小象 <complaint@xiaoxiang.example> 写道：\n> \n> 您好"
    )), "还是没有收到退款"),
    Letter("Apple Mail's HTML", html(
        "还是没有收到退款<br><br><div>发自我的 iPhone</div><blockquote type=cite>您好</blockquote>", RE), "还是没有收到退款"),
    Letter("Foxmail", mail(RE, plain(), body=(
        "还是没有收到退款\n\n\n\nzhangsan@qq.com\n \n发件人： 小象\n发送时间： 2026-11-22 20:00\n收件人： 张三\n主题： 投诉\n您好"
    )), "还是没有收到退款\n\nzhangsan@qq.com"),
    Letter("answers between the quoted lines", mail(RE, plain(), body="> 收到了吗？\n没有\n> 退款到了吗？\n也没有"), "没有\n也没有"),
    Letter("a signature after two dashes", mail(RE, plain(), body="请退款\n-- \n张三\n某公司 市场部"), "请退款"),
    Letter("a list with dashes stays", mail(RE, plain(), body="问题：\n- 牛奶坏了\n- 鸡蛋碎了\n请退款"),
           "问题：\n- 牛奶坏了\n- 鸡蛋碎了\n请退款"),
    Letter("somebody else's words in prose stay", mail(RE, plain(), body="客服在微信里写道：\n不赔\n我不接受"),
           "客服在微信里写道：\n不赔\n我不接受"),
    Letter("a legal footer goes", mail(RE, plain(), body="请退款\n\n本邮件及其附件含有某公司的保密信息，仅限于发送给上面地址中列出的个人。"),
           "请退款"),
    Letter("nothing but a quote is all there is", mail(RE, plain(), body="> 牛奶坏了\n> 请退款"), "> 牛奶坏了\n> 请退款"),
    Letter("a forward is about what it passes on", mail(
        "Subject: 转发: 投诉", plain(),
        body="请处理\n\n---------- Forwarded message ---------\nFrom: x\nDate: y\n\n蛋糕里有虫子",
    ), "投诉\n请处理\n\n---------- Forwarded message ---------\nFrom: x\nDate: y\n\n蛋糕里有虫子"),
    Letter("a few words above a quoted mail that nobody answers", mail(
        plain(), body="请处理\n\n发件人: x\n发送时间: y\n\n蛋糕里有虫子，吃坏了肚子"),
        "请处理\n\n发件人: x\n发送时间: y\n\n蛋糕里有虫子，吃坏了肚子"),
]  # fmt: skip

FORMS = [
    Letter("HTML only", html(
        "<html><head><title>t</title><style>p {color: red}</style></head><body><script>alert(1)</script><p>牛奶<b>坏</b>了"
        "</p><div style='display:none'>看不见</div><p>请&nbsp;退款 &lt;马上&gt;</p></body></html>"), "牛奶坏了\n请 退款 <马上>"),
    Letter("HTML as a picture of a table", html("<table><tr><td>订单</td><td>123</td></tr><tr><td>坏了</td></tr></table>"),
           "订单 123\n坏了"),
    Letter("a plain part that only says that there is another", with_parts(parts=multipart(
        "alternative", text_part("Your mail client doesn't support HTML. View this in an HTML viewer."),
        text_part(f"<p>{ROTTEN}</p>", kind="html"))), ROTTEN),
    Letter("an empty plain part", with_parts(parts=multipart(
        "alternative", text_part("\n \n"), text_part(f"<p>{ROTTEN}</p>", kind="html"))), ROTTEN),
    Letter("text, picture, text", with_parts(parts=multipart(
        "mixed", text_part("这是坏的牛奶"), file_part(JPEG, "image/jpeg", name="a.jpg", inline=True), text_part("请退款"))),
        "这是坏的牛奶\n\n请退款", facts={"images": (JPEG,)}),
    Letter("pictures attached, in the text, and in the page itself", with_parts(parts=multipart(
        "mixed", multipart("related", text_part(
            '<p>坏了</p><img src="cid:1"><img src="data:image/png;base64,' + base64.b64encode(PNG).decode() + '">',
            kind="html"), file_part(PNG + b"2", "image/png", inline=True), boundary="inner"),
        file_part(JPEG, "application/octet-stream", name="IMG_1.JPG"))), "坏了", facts={"images": (JPEG, PNG, PNG + b"2")}),
    Letter("a file that is no picture is named", with_parts(parts=multipart(
        "mixed", text_part("见附件"), file_part(b"%PDF", "application/pdf", name=word("发票.pdf", "gb2312")))),
        "见附件", facts={"others": ("发票.pdf",)}),
    Letter("only pictures", with_parts(parts=multipart("mixed", file_part(JPEG, "image/jpeg", name="a.jpg"))), "",
           facts={"images": (JPEG,)}),
    Letter("a boundary that never ends", with_parts(parts=multipart("mixed", text_part(ROTTEN), closed=False)), ROTTEN),
    Letter("a boundary that never begins", mail('Content-Type: multipart/mixed; boundary="x"', body=ROTTEN), ROTTEN),
    Letter("a multipart without a boundary", mail("Content-Type: multipart/mixed", body=ROTTEN), ROTTEN),
    Letter("Base64 with rubbish in it", mail(plain(), "Content-Transfer-Encoding: base64", body=(
        base64.b64encode(ROTTEN.encode()).decode() + "\n!!")), ROTTEN),
    Letter("an encoding that doesn't exist", mail(plain(), "Content-Transfer-Encoding: 9bit", body=ROTTEN), ROTTEN),
    Letter("no header but the text", b"\r\n" + ROTTEN.encode(), ROTTEN),
    Letter("neither header nor empty line", ROTTEN.encode(), ROTTEN),
    Letter("a header without a colon", mail("Broken header", body=ROTTEN), "Broken header\n\n" + ROTTEN),
    Letter("flowed lines", mail(plain() + "; format=flowed", body="The milk had \nturned sour.\nRefund please."),
           "The milk had turned sour.\nRefund please."),
    Letter("a mail as the only attachment", with_parts(parts=multipart(
        "mixed", b"Content-Type: message/rfc822\n\nSubject: old\nFrom: a@b.example\n\n" + ROTTEN.encode())), ROTTEN,
        facts={"others": ("old",)}),
    Letter("control characters and halves of letters", mail(plain(), body="牛奶\x00坏\x08了\ufeff".encode() + b"\xed\xa0\x80"),
           "", facts={"no_controls": True}),
    Letter("nothing at all", b"", ""),
]  # fmt: skip

ROBOTS = [
    Letter("an answer marked by RFC 3834", mail("Auto-Submitted: auto-replied", body="我在休假"), reason="auto_reply"),
    Letter("one that says it is none", mail("Auto-Submitted: no", plain(), body=ROTTEN), ROTTEN),
    Letter("QQ's holiday answer", mail(SUBJECT + word("自动回复:您的投诉", "gb18030"), body="休假中"), reason="auto_reply"),
    Letter("QQ's holiday answer by its text", mail(plain(), body=(
        "您好，我最近正在休假中。\n这是来自QQ邮箱的假期自动回复邮件。")), reason="auto_reply"),
    Letter("Outlook's answer in Chinese", mail(SUBJECT + word("自动答复: 投诉", "utf-8"), body="不在"), reason="auto_reply"),
    Letter("Outlook's answer in English", mail("Subject: Automatic reply: complaint", body="away"), reason="auto_reply"),
    Letter("an answer in Traditional Chinese", mail("Subject: 自動回覆：投訴", body="不在"), reason="auto_reply"),
    Letter("an answer in brackets", mail("Subject: 【自动回复】投诉", body="不在"), reason="auto_reply"),
    Letter("a complaint about automatic answers", mail("Subject: 自动回复太差了", plain(), body="没人理我"),
           "自动回复太差了\n没人理我"),
    Letter("X-Autoreply", mail("X-Autoreply: yes", body="away"), reason="auto_reply"),
    Letter("Precedence: auto_reply", mail("Precedence: auto_reply", body="away"), reason="auto_reply"),
    Letter("X-Auto-Response-Suppress", mail("X-Auto-Response-Suppress: DR, OOF, AutoReply", body="x"), reason="auto_reply"),
    Letter("Precedence: bulk", mail("Precedence: bulk", body="促销"), reason="list"),
    Letter("a mailing list", mail("List-Id: <dev.lists.example.org>", body="x"), reason="list"),
    Letter("a newsletter", mail("List-Unsubscribe: <https://shop.example/u>", body="促销"), reason="list"),
    Letter("the brand's own group that passes complaints on", mail(
        "List-Id: complaints <service.xiaoxiang.example>", plain(), body=ROTTEN), ROTTEN),
    Letter("a delivery report", with_parts("From: Mail Delivery <mailer@mx.example>", parts=multipart(
        "report", text_part("Undelivered"), b"Content-Type: message/delivery-status\n\nAction: failed\n")),
        reason="bounce"),
    Letter("mailer-daemon", mail("From: MAILER-DAEMON@mx.example", body="failed"), reason="bounce"),
    Letter("QQ's bounce", mail("Subject: 系统退信/The email is returned", body="x"), reason="bounce"),
    Letter("an empty return path", mail("Return-Path: <>", body="x"), reason="bounce"),
    Letter("a read receipt", with_parts(parts=multipart("report", text_part("已读"))), reason="bounce"),
    Letter("a mail of our own that came back", mail("X-Pingxi: received", body="x"), reason="loop"),
    Letter("a Message-Id of our own", mail("Message-Id: <pingxi.7K3M9QXZ4TPC5.1@xiaoxiang.example>", body="x"),
           reason="loop"),
    Letter("from one of our own addresses", mail("From: complaint@xiaoxiang.example", body="x"), reason="loop"),
    Letter("too many hops", mail(*["Received: from a by b"] * 51, body="x"), reason="loop"),
]  # fmt: skip

LETTERS = [*CHARSETS, *SUBJECTS, *QUOTES, *FORMS, *ROBOTS]
