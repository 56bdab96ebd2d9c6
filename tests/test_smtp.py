from __future__ import annotations

import base64
import json
import socket
import ssl
import threading
import traceback
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from time import sleep
from typing import Any

import pytest
import trustme
from smtp_server import (
    ACCEPTED,
    ADDRESSED,
    DRIP,
    FLOOD,
    GREETED,
    HANG_UP,
    MESSAGE,
    PIPELINED,
    RESET,
    STARTED,
    UNASKED,
    Script,
    ScriptedServer,
    recording_server,
)

from digest.core.refusals import advise
from digest.deliver import within
from digest.deliver.smtp import SmtpDeliverer
from digest.errors import (
    CredentialError,
    DeliveryError,
    LimitReachedError,
    PermanentDeliveryError,
    RefusedByServerError,
    TransientDeliveryError,
    UncertainDeliveryError,
    UnreachableError,
)
from digest.redaction import Secret

PASSWORD = "pass word:é"  # noqa: S105 - nobody's
MAIL = b"Subject: Five papers\r\n\r\n.\r\n..two dots\r\n.one dot\r\n\r\nEnd.\r\n"
LARGE = b"Subject: Many papers\r\n\r\n" + b"A paper with a long title.\r\n" * 400_000


class Word:
    def __init__(self, value: str = PASSWORD) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value


@contextmanager
def deliverer(port: int, **settings: Any) -> Iterator[SmtpDeliverer]:  # noqa: ANN401 - any of the settings
    given = {
        "host": "127.0.0.1",
        "port": port,
        "security": "none",
        "username": None,
        "password": Word,
        "sender": "digest@example.test",
        "timeout": 5.0,
    }
    with closing(SmtpDeliverer(**{**given, **settings})) as smtp:
        yield smtp


def never() -> None:
    pytest.fail("the message was handed over")


def nothing() -> None:
    pass


def said(error: BaseException) -> str:
    """All that a report of the error could print."""
    return "".join(traceback.format_exception(error)) + repr(
        [link.args for link in (error, error.__cause__, error.__context__) if link]
    )


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def served(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
    return context


@pytest.fixture
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def test_message_arrives_byte_for_byte() -> None:
    with recording_server() as server, deliverer(server.port) as smtp:
        smtp.deliver(MAIL, "Reader <reader@example.test>", handing_over=nothing)
    (message,) = server.messages
    assert message.content == MAIL
    assert message.mail_from == "digest@example.test"
    assert message.rcpt_tos == ("reader@example.test",)
    assert f"SIZE={len(MAIL)}" in message.options


def test_message_without_a_last_line_end_is_given_one() -> None:
    with recording_server() as server, deliverer(server.port) as smtp:
        smtp.deliver(b"Subject: x\r\n\r\nEnd", "reader@example.test", handing_over=nothing)
    assert server.messages[0].content == b"Subject: x\r\n\r\nEnd\r\n"


@pytest.mark.parametrize("smuggled", [b"a\n.\nMAIL FROM:<x@y>\r\n", b"a\r.\r\n"])
def test_line_ends_that_servers_read_differently_are_refused(smuggled: bytes) -> None:
    with deliverer(1) as smtp, pytest.raises(PermanentDeliveryError, match="CRLF"):
        smtp.deliver(smuggled, "reader@example.test", handing_over=never)


@pytest.mark.parametrize("mailbox", ["", "nobody", "Reader <>", "a@b\r\nDATA", "a b@example.test", "a@b>c"])
def test_what_is_no_address_never_reaches_the_server(mailbox: str) -> None:
    with deliverer(1) as smtp, pytest.raises(PermanentDeliveryError, match="not an e-mail address"):
        smtp.deliver(MAIL, mailbox, handing_over=never)


def test_several_messages_share_one_connection_and_each_has_one_recipient() -> None:
    with recording_server() as server, deliverer(server.port) as smtp:
        for name in ("a", "b", "c"):
            smtp.deliver(MAIL, f"{name}@example.test", handing_over=nothing)
    assert [message.rcpt_tos for message in server.messages] == [
        ("a@example.test",),
        ("b@example.test",),
        ("c@example.test",),
    ]
    assert len({message.client for message in server.messages}) == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("without", [(), ("PLAIN",)])
def test_login_over_tls_takes_a_password_that_is_not_ascii(
    served: ssl.SSLContext, trusting: ssl.SSLContext, host: str, without: tuple[str, ...]
) -> None:
    with (
        recording_server(tls=served, login=("mé", PASSWORD), without=without) as server,
        deliverer(server.port, host=host, security="tls", username="mé", context=trusting) as smtp,
    ):
        smtp.deliver(MAIL, "reader@example.test", handing_over=nothing)
    assert server.messages[0].content == MAIL
    assert server.logins == [("LOGIN" if without else "PLAIN", "mé")]


def test_starttls_comes_before_the_login(served: ssl.SSLContext, trusting: ssl.SSLContext) -> None:
    with (
        recording_server(starttls=served, login=("me", PASSWORD)) as server,
        deliverer(server.port, security="starttls", username="me", context=trusting) as smtp,
    ):
        smtp.deliver(MAIL, "reader@example.test", handing_over=nothing)
    assert server.messages[0].content == MAIL
    assert server.logins == [("PLAIN", "me")]


@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_untrusted_certificate_ends_it_before_the_password_is_asked_for(
    served: ssl.SSLContext, security: str
) -> None:
    def asked() -> Word:
        pytest.fail("the password was asked for")

    tls, starttls = (served, None) if security == "tls" else (None, served)
    with (
        recording_server(tls=tls, starttls=starttls) as server,
        deliverer(server.port, security=security, username="me", password=asked) as smtp,
        pytest.raises(PermanentDeliveryError, match=r"not trusted: .*SSL_CERT_FILE") as caught,
    ):
        smtp.deliver(MAIL, "reader@example.test", handing_over=never)
    assert caught.value.place == f"127.0.0.1:{server.port}"


def test_tls_spoken_to_a_server_without_it_names_the_setting() -> None:
    with (
        ScriptedServer([(UNASKED, "220 ready")]) as server,
        deliverer(server.port, security="tls") as smtp,
        pytest.raises(TransientDeliveryError, match=r"email\.security"),
    ):
        smtp.deliver(MAIL, "reader@example.test", handing_over=never)


def test_starttls_that_is_not_offered_is_not_done_without() -> None:
    with (
        ScriptedServer([(UNASKED, "220 ready"), ("EHLO", "250-here\r\n250 AUTH PLAIN")]) as server,
        deliverer(server.port, security="starttls", username="me") as smtp,
        pytest.raises(PermanentDeliveryError, match="does not offer STARTTLS"),
    ):
        smtp.deliver(MAIL, "reader@example.test", handing_over=never)
    assert not any(line.startswith(("AUTH", "MAIL")) for line in server.lines)


def test_starttls_refused_for_now_concerns_all_messages() -> None:
    script = [(UNASKED, "220 ready"), ("EHLO", "250-here\r\n250 STARTTLS"), ("STARTTLS", "454 not now")]
    with (
        ScriptedServer(script) as server,
        deliverer(server.port, security="starttls") as smtp,
        pytest.raises(UnreachableError, match="454 not now"),
    ):
        smtp.deliver(MAIL, "reader@example.test", handing_over=never)


@pytest.mark.parametrize("host", ["mail.example.test", "192.0.2.1"])
def test_no_login_without_tls_but_to_this_machine(host: str) -> None:
    with (
        deliverer(25, host=host, username="me") as smtp,
        pytest.raises(PermanentDeliveryError, match=r"`email\.security`"),
    ):
        smtp.deliver(MAIL, "reader@example.test", handing_over=never)


def test_login_without_tls_to_this_machine_is_allowed() -> None:
    with (
        recording_server(login=("me", PASSWORD)) as server,
        deliverer(server.port, username="me") as smtp,
    ):
        smtp.deliver(MAIL, "reader@example.test", handing_over=nothing)
    assert server.messages


@pytest.mark.parametrize(
    ("offer", "words"),
    [
        ("250 here", "no login by password"),
        ("250-here\r\n250 AUTH XOAUTH2", "no login by password, only XOAUTH2"),
    ],
)
def test_user_name_without_a_way_to_log_in_is_refused(offer: str, words: str) -> None:
    with (
        ScriptedServer([(UNASKED, "220 ready"), ("EHLO", offer)]) as server,
        deliverer(server.port, username="me") as smtp,
        pytest.raises(PermanentDeliveryError, match=words),
    ):
        smtp.deliver(MAIL, "reader@example.test", handing_over=never)


def test_user_name_without_a_password_names_the_setting() -> None:
    with (
        ScriptedServer(GREETED) as server,
        deliverer(server.port, username="me", password=None) as smtp,
        pytest.raises(PermanentDeliveryError, match=r"Set `email\.password`"),
    ):
        smtp.deliver(MAIL, "reader@example.test", handing_over=never)


def test_password_that_cannot_be_had_is_told_as_it_is() -> None:
    def locked() -> Word:
        raise CredentialError("the keyring is locked")

    with (
        recording_server(login=("me", PASSWORD)) as server,
        deliverer(server.port, username="me", password=locked) as smtp,
        pytest.raises(CredentialError, match="locked"),
    ):
        smtp.deliver(MAIL, "reader@example.test", handing_over=never)


def login_script(answer: str, offered: str = "PLAIN") -> list[tuple[str, str]]:
    return [(UNASKED, "220 ready"), ("EHLO", f"250-here\r\n250 AUTH {offered}"), ("AUTH", answer)]


@pytest.mark.parametrize(
    ("answer", "advice"),
    [
        ("535 5.7.8 authentication failed", "digest secret set"),
        ("535-5.7.8 Username and Password not accepted.\r\n535 5.7.8 a1-20.7 - gsmtp", "apppasswords"),
        ("534 5.7.9 Application-specific password required, see https://support.google.com", "apppasswords"),
        ("535 5.7.139 Authentication unsuccessful, basic authentication is disabled.", "Microsoft"),
        ("534 5.7.9 Authentication mechanism is too weak", "oauth2"),
        ("550 5.7.30 Basic authentication is not supported for Client Submission.", "Microsoft"),
        ("530 5.7.0 Must issue a STARTTLS command first", "starttls"),
    ],
)
def test_refused_login_says_what_to_do_and_keeps_the_secret(answer: str, advice: str) -> None:
    with (
        ScriptedServer(login_script(answer)) as server,
        deliverer(server.port, username="me") as smtp,
        pytest.raises(PermanentDeliveryError, match="the login was refused: 5") as caught,
    ):
        smtp.deliver(MAIL, "reader@example.test", handing_over=never)
    assert advice in str(caught.value)


def test_wrong_password_is_not_tried_again_for_the_next_message() -> None:
    with (
        recording_server(login=("me", "another")) as server,
        deliverer(server.port, username="me") as smtp,
    ):
        for _ in range(3):
            with pytest.raises(PermanentDeliveryError, match="the login was refused: 535"):
                smtp.deliver(MAIL, "reader@example.test", handing_over=never)
    assert len(server.logins) == 1


def test_login_that_is_temporarily_impossible_concerns_all_messages() -> None:
    with (
        ScriptedServer(login_script("454 4.7.0 Temporary authentication failure")) as server,
        deliverer(server.port, username="me") as smtp,
        pytest.raises(UnreachableError, match="454"),
    ):
        smtp.deliver(MAIL, "reader@example.test", handing_over=never)


def test_server_that_never_stops_asking_is_not_told_more() -> None:
    with (
        ScriptedServer(login_script("334 and then?")) as server,
        deliverer(server.port, username="me") as smtp,
        pytest.raises(TransientDeliveryError, match="the login was refused: 334"),
    ):
        smtp.deliver(MAIL, "reader@example.test", handing_over=never)
    assert server.lines[-1].startswith("AUTH")


@pytest.mark.parametrize("offered", ["PLAIN", "LOGIN"])
def test_server_that_repeats_the_secret_does_not_get_it_printed(offered: str) -> None:
    token = base64.b64encode(f"\0me\0{PASSWORD}".encode()).decode()
    user, word = (base64.b64encode(text.encode()).decode() for text in ("me", PASSWORD))
    script: list[tuple[str, str]] = login_script(f"535 what is {token}, {PASSWORD}?")
    if offered == "LOGIN":
        script = [*login_script("334 VXNlcm5hbWU6", offered), (user, "334 UGFzc3dvcmQ6")]
        script.append((word, f"535 what is {word}, {PASSWORD}?"))
    with (
        ScriptedServer(script) as server,
        deliverer(server.port, username="me") as smtp,
        pytest.raises(PermanentDeliveryError, match="what is <secret>, <secret>") as caught,
    ):
        smtp.deliver(MAIL, "reader@example.test", handing_over=never)
    assert not any(secret in said(caught.value) for secret in (token, word, PASSWORD))


def test_secret_is_not_shown_where_a_later_refusal_is_cut_short() -> None:
    secret = "correct horse  battery"  # noqa: S105 - nobody's
    script = [*login_script("235 welcome"), ("MAIL", "250 ok"), ("RCPT", f"550 {'x' * 285} {secret}")]
    with (
        ScriptedServer(script) as server,
        deliverer(server.port, username="me", password=lambda: Secret(secret)) as smtp,
        pytest.raises(PermanentDeliveryError, match=r"xxx <secret>$") as caught,
    ):
        smtp.deliver(MAIL, "reader@example.test", handing_over=never)
    assert "correct" not in said(caught.value)


def test_connection_lost_at_login_does_not_show_the_secret() -> None:
    with (
        ScriptedServer(login_script(HANG_UP)) as server,
        deliverer(server.port, username="me") as smtp,
        pytest.raises(TransientDeliveryError) as caught,
    ):
        smtp.deliver(MAIL, "reader@example.test", handing_over=never)
    assert PASSWORD not in said(caught.value)
    assert base64.b64encode(f"\0me\0{PASSWORD}".encode()).decode() not in said(caught.value)


REFUSED_BEFORE: list[tuple[Script, type[DeliveryError], str]] = [
    ([(UNASKED, "421 too busy")], UnreachableError, "no connection: 421 too busy"),
    ([(UNASKED, "554 not for you")], RefusedByServerError, "no connection: 554 not for you"),
    ([(UNASKED, "HTTP/1.1 400 Bad Request")], UnreachableError, "no connection: "),
    ([(UNASKED, "220 ready"), ("EHLO", "421 too busy")], UnreachableError, "greeting was refused: 421"),
    ([*GREETED, ("MAIL", "550 not you")], RefusedByServerError, "sender digest@example.test .* 550 not you"),
    ([*GREETED, ("MAIL", "552 5.3.4 too large")], PermanentDeliveryError, "max_papers"),
    ([*GREETED, ("MAIL", "550 5.4.5 Daily sending limit exceeded")], LimitReachedError, "per_day"),
    ([*GREETED, ("MAIL", "250 ok"), ("RCPT", "553 5.7.1 not owned by user")], RefusedByServerError, "from"),
    ([*GREETED, ("MAIL", "451 try later")], TransientDeliveryError, "sender digest@example.test .* 451"),
    ([*GREETED, ("MAIL", "530 5.7.0 log in")], RefusedByServerError, r"530 .*Set `email\.username`"),
    ([*GREETED, ("MAIL", HANG_UP)], TransientDeliveryError, "the connection was lost"),
    ([*GREETED, ("MAIL", "250 ok"), ("RCPT", "450 greylisted")], TransientDeliveryError, "450 greylisted"),
    ([*GREETED, ("MAIL", "250 ok"), ("RCPT", "452 full")], TransientDeliveryError, "452 full"),
    (
        [*GREETED, ("MAIL", "250 ok"), ("RCPT", "550 5.1.1 no such user")],
        PermanentDeliveryError,
        "the recipient reader@example.test was refused: 550 5.1.1 no such user",
    ),
    ([*GREETED, ("MAIL", "250 ok"), ("RCPT", "9" * 9000)], TransientDeliveryError, "Line too long"),
    ([*GREETED, ("MAIL", "what?")], TransientDeliveryError, "no SMTP reply"),
    ([*GREETED, ("MAIL", "354 go on")], TransientDeliveryError, "354 go on"),
    ([*ADDRESSED, ("DATA", "451 not now")], TransientDeliveryError, "451 not now"),
    ([*ADDRESSED, ("DATA", "554 no")], PermanentDeliveryError, "554 no"),
    ([*ADDRESSED, ("DATA", HANG_UP)], TransientDeliveryError, "the connection was lost"),
]


@pytest.mark.parametrize(("script", "kind", "words"), REFUSED_BEFORE)
def test_failure_before_the_message_is_told_by_its_reply_and_nothing_is_handed_over(
    script: Script, kind: type[DeliveryError], words: str
) -> None:
    with (
        ScriptedServer(script) as server,
        deliverer(server.port) as smtp,
        pytest.raises(kind, match=words) as caught,
    ):
        smtp.deliver(MAIL, "reader@example.test", handing_over=never)
    assert caught.value.place == f"127.0.0.1:{server.port}"
    assert type(caught.value) is kind


REFUSED_AFTER: list[tuple[str, type[DeliveryError], str]] = [
    ("421 closing", TransientDeliveryError, "421 closing"),
    ("451 try later", TransientDeliveryError, "451 try later"),
    ("452 no room", TransientDeliveryError, "452 no room"),
    ("552 too large", PermanentDeliveryError, "552 too large"),
    ("554 looks like spam", PermanentDeliveryError, "554 looks like spam"),
    (HANG_UP, UncertainDeliveryError, "the answer was lost"),
    ("what?", UncertainDeliveryError, "no SMTP reply"),
    ("354 go on", UncertainDeliveryError, "354 go on"),
    ("2" * 9000, UncertainDeliveryError, "Line too long"),
]


@pytest.mark.parametrize(("answer", "kind", "words"), REFUSED_AFTER)
def test_answer_to_the_final_dot_decides(answer: str, kind: type[DeliveryError], words: str) -> None:
    handed: list[bool] = []
    with (
        ScriptedServer([*STARTED, (MESSAGE, answer)]) as server,
        deliverer(server.port) as smtp,
        pytest.raises(kind, match=words),
    ):
        smtp.deliver(MAIL, "reader@example.test", handing_over=lambda: handed.append(True))
    assert handed == [True]
    assert server.messages == [MAIL.replace(b"\r\n.", b"\r\n..")]


def test_final_answer_may_take_longer_than_any_other() -> None:
    with (
        ScriptedServer(
            [*STARTED, (MESSAGE, "250-it takes"), partial(sleep, 0.6), (UNASKED, "250 taken")]
        ) as server,
        deliverer(server.port, timeout=0.3) as smtp,
    ):
        smtp.deliver(MAIL, "reader@example.test", handing_over=nothing)


def test_final_dot_is_sent_after_the_handing_over_and_not_before() -> None:
    seen: list[list[bytes]] = []
    with ScriptedServer(ACCEPTED) as server, deliverer(server.port) as smtp:
        smtp.deliver(MAIL, "reader@example.test", handing_over=lambda: seen.append(list(server.messages)))
    assert seen == [[]]
    assert server.messages


def test_handing_over_that_fails_leaves_the_message_unsent_and_the_next_one_works() -> None:
    def failing() -> None:
        raise RuntimeError("the disk is full")

    with recording_server() as server, deliverer(server.port) as smtp:
        with pytest.raises(RuntimeError, match="disk"):
            smtp.deliver(MAIL, "a@example.test", handing_over=failing)
        smtp.deliver(MAIL, "b@example.test", handing_over=nothing)
    assert [message.rcpt_tos for message in server.messages] == [("b@example.test",)]


@pytest.mark.parametrize(
    ("message", "fault"),
    [
        (
            MAIL,
            [("DATA", "354 go on\r\n" + HANG_UP)],
        ),  # fits the system's buffers, so sending it does not fail
        (LARGE, [("DATA", "354 go on"), ("Subject:", HANG_UP)]),
    ],
    ids=["small", "large"],
)
def test_connection_lost_within_the_message_is_noticed_before_the_handing_over(
    message: bytes, fault: list[tuple[str, str]]
) -> None:
    with (
        ScriptedServer([*ADDRESSED, *fault]) as server,
        deliverer(server.port) as smtp,
        pytest.raises(TransientDeliveryError, match="within the message"),
    ):
        smtp.deliver(message, "reader@example.test", handing_over=never)


def test_refusal_within_the_message_is_heard_before_the_handing_over() -> None:
    with (
        ScriptedServer([*STARTED, ("Subject:", "552 too large")]) as server,
        deliverer(server.port) as smtp,
        pytest.raises(PermanentDeliveryError, match="552 too large"),
    ):
        smtp.deliver(LARGE, "reader@example.test", handing_over=never)


def test_final_dot_that_cannot_be_sent_is_a_certain_failure() -> None:
    handed = threading.Event()

    def hand_over() -> None:
        handed.set()
        server.wait()

    with (
        ScriptedServer([*STARTED, handed.wait, ("Subject:", RESET)]) as server,
        deliverer(server.port) as smtp,
        pytest.raises(TransientDeliveryError, match="before the end"),
    ):
        smtp.deliver(MAIL, "reader@example.test", handing_over=hand_over)


def test_refused_recipient_does_not_stop_the_next_message() -> None:
    script = [
        *GREETED,
        ("MAIL", "250 ok"),
        ("RCPT TO:<gone@example.test>", "550 no such user"),
        ("RSET", "250 ok"),
        ("MAIL", "250 ok"),
        ("RCPT TO:<reader@example.test>", "250 ok"),
        ("DATA", "354 go on"),
        (MESSAGE, "250 taken"),
    ]
    with ScriptedServer(script) as server, deliverer(server.port) as smtp:
        with pytest.raises(PermanentDeliveryError, match="550"):
            smtp.deliver(MAIL, "gone@example.test", handing_over=never)
        smtp.deliver(MAIL, "reader@example.test", handing_over=nothing)
    assert len(server.messages) == 1


@pytest.mark.parametrize(
    "ending",
    [
        [("RSET", HANG_UP)],
        [("RSET", "421 idle for too long")],
        [("RSET", "250 ok"), ("MAIL", HANG_UP)],
        [("RSET", "250 ok"), ("MAIL", "421 too many messages")],
    ],
)
def test_connection_that_ended_between_messages_is_opened_again(ending: list[tuple[str, str]]) -> None:
    with ScriptedServer([*ACCEPTED, *ending], ACCEPTED) as server, deliverer(server.port) as smtp:
        for _ in range(2):
            smtp.deliver(MAIL, "reader@example.test", handing_over=nothing)
    assert len(server.messages) == 2


def test_connection_is_opened_again_once_only() -> None:
    scripts = [*ACCEPTED, ("RSET", HANG_UP)], [*GREETED, ("MAIL", HANG_UP)]
    with ScriptedServer(*scripts) as server, deliverer(server.port) as smtp:
        smtp.deliver(MAIL, "reader@example.test", handing_over=nothing)
        with pytest.raises(TransientDeliveryError, match="the connection was lost"):
            smtp.deliver(MAIL, "reader@example.test", handing_over=never)


SENT = (("MAIL", "250 ok"), ("RCPT", "250 ok"), ("DATA", "354 go on"), (MESSAGE, "250 taken"))


def test_envelope_goes_out_at_once_where_the_server_allows_it() -> None:
    seen: list[list[str]] = []

    def look() -> None:
        connection = server.connection
        connection.settimeout(5)
        asked = b""
        while asked.count(b"\r\n") < 3:  # before any of it was answered
            asked = connection.recv(1000, socket.MSG_PEEK)
        seen.append([line.split()[0] for line in asked.decode().splitlines()])

    with ScriptedServer([*PIPELINED, look, *SENT, look, *SENT]) as server, deliverer(server.port) as smtp:
        for _ in range(2):
            smtp.deliver(MAIL, "reader@example.test", handing_over=nothing)
    assert seen == [["MAIL", "RCPT", "DATA"]] * 2
    assert server.messages == [MAIL.replace(b"\r\n.", b"\r\n..")] * 2


def test_pipelined_messages_arrive_byte_for_byte() -> None:
    with recording_server(pipelining=True) as server, deliverer(server.port) as smtp:
        for name in ("a", "b", "jørgen"):
            smtp.deliver(MAIL, f"{name}@example.test", handing_over=nothing)
    assert [(one.rcpt_tos, one.content) for one in server.messages] == [
        ((f"{name}@example.test",), MAIL) for name in ("a", "b", "jørgen")
    ]
    assert len({message.client for message in server.messages}) == 1


REFUSED_AT_ONCE: list[tuple[list[tuple[str, str]], type[DeliveryError], str]] = [
    (
        [("MAIL", "250 ok"), ("RCPT", "550 no such user"), ("DATA", "503 for whom?")],
        PermanentDeliveryError,
        "550",
    ),
    ([("MAIL", "250 ok"), ("RCPT", "450 later"), ("DATA", "554 for whom?")], TransientDeliveryError, "450"),
    ([("MAIL", "250 ok"), ("RCPT", "250 ok"), ("DATA", "451 not now")], TransientDeliveryError, "451"),
    ([("MAIL", "550 not you"), ("RCPT", "503 what?"), ("DATA", "503 what?")], RefusedByServerError, "550"),
    (
        [("MAIL", "250 ok"), ("RCPT", "550 no"), ("DATA", "354 go on"), (".", "554 for whom?")],
        PermanentDeliveryError,
        "550",
    ),
]


@pytest.mark.parametrize(("envelope", "kind", "words"), REFUSED_AT_ONCE)
def test_refusal_of_a_pipelined_envelope_hands_nothing_over_and_leaves_the_connection_usable(
    envelope: list[tuple[str, str]], kind: type[DeliveryError], words: str
) -> None:
    script = [*PIPELINED, *envelope, ("RSET", "250 ok"), *SENT]
    with ScriptedServer(script) as server, deliverer(server.port) as smtp:
        with pytest.raises(kind, match=words):
            smtp.deliver(MAIL, "gone@example.test", handing_over=never)
        smtp.deliver(MAIL, "reader@example.test", handing_over=nothing)
    assert len(server.messages) == 1


@pytest.mark.parametrize(
    ("envelope", "words"),
    [
        ([("MAIL", "550 no"), ("RCPT", "250 ok"), ("DATA", "354 go on")], "550"),
        ([("MAIL", "250 ok"), ("RCPT", "550 no"), ("DATA", "354 go on"), (".", HANG_UP)], "550"),
        ([("MAIL", "250 ok"), ("RCPT", "550 no"), ("DATA", "354 go on"), (".", "421 bye")], "550"),
        ([("MAIL", "250 ok"), ("RCPT", "550 no"), ("DATA", HANG_UP)], "550"),
        ([("MAIL", "421 too many")], "421"),
        ([("MAIL", "250 ok"), ("RCPT", "what?"), ("DATA", "354 go on")], "no SMTP reply"),
        ([("MAIL", "250 ok"), ("RCPT", HANG_UP)], "the connection was lost"),
        ([("MAIL", HANG_UP)], "the connection was lost"),
    ],
)
def test_connection_on_which_a_message_may_be_waited_for_is_not_used_again(
    envelope: list[tuple[str, str]], words: str
) -> None:
    with ScriptedServer([*PIPELINED, *envelope], ACCEPTED) as server, deliverer(server.port) as smtp:
        with pytest.raises(DeliveryError, match=words):
            smtp.deliver(MAIL, "gone@example.test", handing_over=never)
        smtp.deliver(MAIL, "reader@example.test", handing_over=nothing)
    assert server.messages == [MAIL.replace(b"\r\n.", b"\r\n..")]
    assert "RSET" not in {line.upper() for line in server.lines}


@pytest.mark.parametrize(
    "ending",
    [
        [("MAIL", HANG_UP)],
        [("MAIL", "421 too many messages")],
        [("MAIL", "250 ok"), ("RCPT", "550 no"), ("DATA", "503 no"), ("RSET", "500 what?")],
    ],
)
def test_pipelined_connection_that_ended_between_messages_is_opened_again(
    ending: list[tuple[str, str]],
) -> None:
    with (
        ScriptedServer([*PIPELINED, *SENT, *ending], ACCEPTED) as server,
        deliverer(server.port) as smtp,
    ):
        smtp.deliver(MAIL, "reader@example.test", handing_over=nothing)
        if len(ending) > 1:
            with pytest.raises(PermanentDeliveryError, match="550"):
                smtp.deliver(MAIL, "gone@example.test", handing_over=never)
        smtp.deliver(MAIL, "reader@example.test", handing_over=nothing)
    assert len(server.messages) == 2


@pytest.mark.parametrize("mechanism", ["XOAUTH2", "OAUTHBEARER"])
def test_token_takes_the_place_of_the_password(mechanism: str) -> None:
    with (
        recording_server(
            login=("m=e,@example.test", PASSWORD),
            without=("XOAUTH2",) if mechanism == "OAUTHBEARER" else (),
        ) as server,
        deliverer(server.port, username="m=e,@example.test", password=None, token=Word) as smtp,
    ):
        smtp.deliver(MAIL, "reader@example.test", handing_over=nothing)
    assert server.messages[0].content == MAIL
    assert server.logins == [(mechanism, "m=e,@example.test")]


@pytest.mark.parametrize("without", [(), ("XOAUTH2",)])
def test_token_that_is_refused_is_explained_and_not_shown(without: tuple[str, ...]) -> None:
    with (
        recording_server(login=("me", "another"), without=without) as server,
        deliverer(server.port, username="me", token=Word) as smtp,
        pytest.raises(RefusedByServerError, match=r"status 401, schemes bearer.*: 535 .*oauth2") as caught,
    ):
        smtp.deliver(MAIL, "reader@example.test", handing_over=never)
    assert "auth=Bearer <secret>" in caught.value.message
    assert PASSWORD not in said(caught.value)
    assert len(server.logins) == 1


def test_token_is_not_shown_where_words_are_cut_short() -> None:
    token = "token" * 500
    challenge = base64.b64encode(json.dumps({"status": "400", "given": token}).encode()).decode()
    script = [*login_script(f"334 {challenge}", "XOAUTH2"), ("", f"535 5.7.8 not {token}")]
    with (
        ScriptedServer(script) as server,
        deliverer(server.port, username="me", token=lambda: Word(token)) as smtp,
        pytest.raises(
            RefusedByServerError, match=r"\(status 400, given <secret>\): 535 5\.7\.8 not <secret>"
        ) as caught,
    ):
        smtp.deliver(MAIL, "reader@example.test", handing_over=never)
    assert "tokentoken" not in said(caught.value)


@pytest.mark.parametrize("challenge", ["", "bm8=", "W10=", "!", base64.b64encode(b"[" * 5000).decode()])
def test_challenge_that_explains_nothing_changes_nothing(challenge: str) -> None:
    script = [*login_script(f"334 {challenge}", "XOAUTH2"), ("", "535 5.7.8 no")]
    with (
        ScriptedServer(script) as server,
        deliverer(server.port, username="me", token=Word) as smtp,
        pytest.raises(RefusedByServerError, match=r"the login was refused: 535 5\.7\.8 no"),
    ):
        smtp.deliver(MAIL, "reader@example.test", handing_over=never)
    assert server.lines[-1] == ""


def test_token_is_not_sent_as_a_password() -> None:
    def asked() -> Word:
        pytest.fail("the token was asked for")

    with (
        ScriptedServer([(UNASKED, "220 ready"), ("EHLO", "250-here\r\n250 AUTH PLAIN LOGIN")]) as server,
        deliverer(server.port, username="me", token=asked) as smtp,
        pytest.raises(RefusedByServerError, match=r"no login by token, only PLAIN, LOGIN.*oauth2"),
    ):
        smtp.deliver(MAIL, "reader@example.test", handing_over=never)


@pytest.mark.parametrize("answer", ["500 what?", HANG_UP])
def test_farewell_is_not_waited_on(answer: str) -> None:
    with ScriptedServer([*ACCEPTED, ("QUIT", answer)]) as server, deliverer(server.port) as smtp:
        smtp.deliver(MAIL, "reader@example.test", handing_over=nothing)
    assert server.messages


def test_closing_twice_or_unopened_is_harmless() -> None:
    with recording_server() as server, deliverer(server.port) as smtp:
        smtp.close()
        smtp.connect()
        smtp.close()
        smtp.close()
    assert not server.messages


def test_server_that_says_nothing_is_given_up_after_the_timeout() -> None:
    with (
        ScriptedServer([partial(sleep, 0.6)]) as server,
        deliverer(server.port, timeout=0.2) as smtp,
        pytest.raises(UnreachableError, match=r"no connection: .*timed out"),
    ):
        smtp.deliver(MAIL, "reader@example.test", handing_over=never)


@pytest.mark.parametrize(
    ("script", "kind", "words"),
    [
        ([(UNASKED, "2" + DRIP)], UnreachableError, "no connection: timed out"),
        ([(UNASKED, "220-wait\r\n" + DRIP)], UnreachableError, "no connection: timed out"),
        ([*GREETED[:1], ("EHLO", "250-wait\r\n" + DRIP)], UnreachableError, "no connection: timed out"),
        ([*GREETED, ("MAIL", "250-wait\r\n" + DRIP)], TransientDeliveryError, "was lost: timed out"),
        ([*STARTED, (MESSAGE, "250-wait\r\n" + DRIP)], UncertainDeliveryError, "was lost: timed out"),
        ([*STARTED, (MESSAGE, "2" + DRIP)], UncertainDeliveryError, "was lost: timed out"),
    ],
)
@pytest.mark.parametrize("security", ["none", "tls"])
def test_reply_that_comes_bit_by_bit_is_waited_for_no_longer_than_any_other(
    monkeypatch: pytest.MonkeyPatch,
    served: ssl.SSLContext,
    trusting: ssl.SSLContext,
    security: str,
    script: Script,
    kind: type[DeliveryError],
    words: str,
) -> None:
    monkeypatch.setattr("digest.deliver.smtp.FINAL_ANSWER_TIMEOUT", 0.3)
    with (
        ScriptedServer(script, tls=served if security == "tls" else None) as server,
        deliverer(server.port, security=security, context=trusting, timeout=0.3) as smtp,
        pytest.raises(kind, match=words) as caught,
    ):
        smtp.deliver(MAIL, "reader@example.test", handing_over=nothing)
    assert caught.type is kind


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        ([(UNASKED, "220-wait\r\n" + FLOOD)], UnreachableError),
        ([*GREETED, ("MAIL", "550-wait\r\n" + FLOOD)], TransientDeliveryError),
        ([*STARTED, (MESSAGE, "250-wait\r\n" + FLOOD)], UncertainDeliveryError),
    ],
)
def test_reply_without_end_is_not_read(script: Script, kind: type[DeliveryError]) -> None:
    with (
        ScriptedServer(script) as server,
        deliverer(server.port, timeout=30) as smtp,
        pytest.raises(kind, match="the reply is too long") as caught,
    ):
        smtp.deliver(MAIL, "reader@example.test", handing_over=nothing)
    assert caught.type is kind


def test_connection_that_is_made_when_the_time_is_over_is_ended_too() -> None:
    ours, theirs = socket.socketpair()
    ours.settimeout(10)
    made = iter([None])
    with ours, theirs:
        with pytest.raises(TimeoutError, match="timed out"), within(0.05, lambda: next(made, ours)):
            raise ConnectionError(ours.recv(1))
        assert theirs.recv(1) == b""


def test_reply_that_breaks_off_within_a_line_is_none() -> None:
    with (
        ScriptedServer([*STARTED, (MESSAGE, "250" + HANG_UP)]) as server,
        deliverer(server.port) as smtp,
        pytest.raises(UncertainDeliveryError, match="broke off"),
    ):
        smtp.deliver(MAIL, "reader@example.test", handing_over=nothing)


def test_server_that_does_not_take_the_message_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("digest.deliver.smtp.FINAL_ANSWER_TIMEOUT", 0.3)
    given_up = threading.Event()
    with (
        ScriptedServer([*STARTED, given_up.wait]) as server,
        deliverer(server.port, timeout=10) as smtp,
    ):
        with pytest.raises(TransientDeliveryError, match="within the message: timed out"):
            smtp.deliver(LARGE, "reader@example.test", handing_over=never)
        given_up.set()


def test_nobody_listening_concerns_all_messages() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with deliverer(port) as smtp, pytest.raises(UnreachableError, match=r"no connection: .*refused"):
        smtp.deliver(MAIL, "reader@example.test", handing_over=never)


def test_host_name_that_cannot_be_concerns_all_messages() -> None:
    with (
        deliverer(25, host="smtp..example.test") as smtp,
        pytest.raises(PermanentDeliveryError, match=r"`email\.host`"),
    ):
        smtp.deliver(MAIL, "reader@example.test", handing_over=never)


def test_server_without_extensions_is_greeted_as_of_old() -> None:
    script = [(UNASKED, "220 ready"), ("EHLO", "502 what?"), ("HELO [127.0.0.1]", "250 here"), *ACCEPTED[2:]]
    with ScriptedServer(script) as server, deliverer(server.port) as smtp:
        smtp.deliver(MAIL, "reader@example.test", handing_over=nothing)
    assert "MAIL FROM:<digest@example.test>" in server.lines


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no ::1")
def test_machine_is_named_by_its_address_also_on_ipv6() -> None:
    with ScriptedServer(ACCEPTED, host="::1") as server, deliverer(server.port, host="::1") as smtp:
        smtp.deliver(MAIL, "reader@example.test", handing_over=nothing)
    assert "ehlo [IPv6:::1]" in server.lines


def test_address_beyond_ascii_uses_smtputf8() -> None:
    with recording_server() as server, deliverer(server.port) as smtp:
        smtp.deliver(MAIL, "Leserin <jørgen@example.test>", handing_over=nothing)
    (message,) = server.messages
    assert message.rcpt_tos == ("jørgen@example.test",)
    assert "SMTPUTF8" in message.options


def test_address_beyond_ascii_is_refused_where_the_server_does_not_know_them_and_the_next_works() -> None:
    with recording_server(smtputf8=False) as server, deliverer(server.port) as smtp:
        for address in ("jørgen@example.test", "reader@example.test", "søren@example.test"):
            if address.isascii():
                smtp.deliver(MAIL, address, handing_over=nothing)
            else:
                with pytest.raises(PermanentDeliveryError, match=f"ASCII addresses only.*{address}"):
                    smtp.deliver(MAIL, address, handing_over=never)
    assert [message.rcpt_tos for message in server.messages] == [("reader@example.test",)]


def test_words_of_the_server_are_shown_short_and_without_commands_to_the_terminal() -> None:
    answer = "550-\x1b[2Jno\tsuch\x07 user\r\n550 " + "very " * 100
    with (
        ScriptedServer([*GREETED, ("MAIL", answer)]) as server,
        deliverer(server.port) as smtp,
        pytest.raises(PermanentDeliveryError) as caught,
    ):
        smtp.deliver(MAIL, "reader@example.test", handing_over=never)
    words = caught.value.message.partition("550 ")[2]
    assert words.startswith("[2Jno such user very very")
    assert words.endswith("…")
    assert len(words) == 300


CASES = [
    (f"{path.stem}: {case['reply']}", case)
    for path in sorted((Path(__file__).parent / "data" / "refusals").glob("*.json"))
    for case in json.loads(path.read_text(encoding="utf-8"))
]


@pytest.mark.parametrize("case", [case for _, case in CASES], ids=[name for name, _ in CASES])
def test_refusal_is_answered_by_what_helps_or_by_nothing(case: dict[str, Any]) -> None:
    advice = advise(case["stage"], case["reply"], case["host"])
    if case["advice"] is None:
        assert advice is None
    else:
        assert advice is not None
        assert case["advice"] in advice.words
        assert advice.concern == case["concern"]
