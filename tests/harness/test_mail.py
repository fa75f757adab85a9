"""Mail as a mail server gets it, and what happens when it does not want it."""

import asyncio
from collections.abc import AsyncIterator
from email import message_from_string, policy

import pytest
from structlog.testing import capture_logs

from plantgate_hub.config import Mail, MailSecurity
from plantgate_hub.mail import MAX_WAITING, Letter, MailNotSent, Outbox, SmtpMailer
from tests.eventually import eventually

LETTER = Letter("tom@example.com", "Passwort für Tom", "Grüße\nhttps://portal.localhost/x?code=1\n")


class MailServer:
    """Speaks as much of RFC 5321 as is needed to take mail."""

    def __init__(self) -> None:
        self.commands: list[str] = []
        self.mails: list[str] = []
        self.refuse = ""
        """A command that is answered with 550."""
        self.port = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.com ESMTP\r\n")
        while line := (await reader.readline()).decode().rstrip():
            self.commands.append(line)
            command = line.partition(" ")[0].upper()
            if command == self.refuse:
                writer.write(b"550 tom@example.com does not live here\r\n")
            elif command == "DATA":
                writer.write(b"354 go on\r\n")
                body = (await reader.readuntil(b"\r\n.\r\n")).decode()
                self.mails.append(body.removesuffix(".\r\n"))
                writer.write(b"250 taken\r\n")
            elif command == "QUIT":
                writer.write(b"221 bye\r\n")
                break
            else:
                writer.write(b"250 fine\r\n")
        writer.close()

    def config(self, **more: object) -> Mail:
        fields: dict[str, object] = {"host": "127.0.0.1", "port": self.port, "security": MailSecurity.NONE}
        return Mail(**{**fields, "sender": "hub@example.com", **more})  # type: ignore[arg-type]


@pytest.fixture
async def server() -> AsyncIterator[MailServer]:
    server = MailServer()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.port = listening.sockets[0].getsockname()[1]
    yield server
    listening.close()


async def test_a_letter_arrives_as_it_was_written(server: MailServer):
    await SmtpMailer(server.config()).send(LETTER)
    assert [c for c in server.commands if c.startswith(("mail", "rcpt"))] == [
        "mail FROM:<hub@example.com>",
        "rcpt TO:<tom@example.com>",
    ]
    message = message_from_string(server.mails[0], policy=policy.default)
    assert message["To"] == "tom@example.com"
    assert message["From"] == "Plantgate <hub@example.com>"
    assert message["Subject"] == LETTER.subject
    assert message["Auto-Submitted"] == "auto-generated"
    assert message.get_content().splitlines() == LETTER.text.splitlines()


@pytest.mark.parametrize("to", ["a@b.de,c@d.de", "a@b.de\nBcc: c@d.de", "no address"])
async def test_one_letter_goes_to_one_address(server: MailServer, to: str):
    with pytest.raises(MailNotSent):
        await SmtpMailer(server.config()).send(Letter(to, "x", "y"))
    assert not server.commands


async def test_a_refusal_says_no_address(server: MailServer):
    server.refuse = "RCPT"
    with pytest.raises(MailNotSent, match=r"127\.0\.0\.1 did not take the mail: SMTPRecipientsRefused") as error:
        await SmtpMailer(server.config()).send(LETTER)
    assert "tom" not in str(error.value)


async def test_without_tls_nothing_is_sent_where_tls_is_asked_for(server: MailServer):
    with pytest.raises(MailNotSent):
        await SmtpMailer(server.config(security=MailSecurity.STARTTLS)).send(LETTER)
    assert not server.mails


async def test_a_server_that_is_not_there_is_one_clear_error(server: MailServer):
    with pytest.raises(MailNotSent, match="Connection refused"):
        await SmtpMailer(server.config(port=1)).send(LETTER)


async def test_the_outbox_sends_in_the_background(server: MailServer):
    outbox = Outbox(SmtpMailer(server.config()))
    running = asyncio.create_task(outbox.run())
    outbox.post(LETTER)
    await eventually(lambda: len(server.mails) == 1)

    async def fails() -> Letter:
        raise ZeroDivisionError

    with capture_logs() as logs:
        outbox.post_written(fails)
        outbox.post(LETTER)
        await eventually(lambda: len(server.mails) == 2)
    assert [log["event"] for log in logs] == ["mail.not sent"]
    running.cancel()


async def test_a_letter_that_nobody_will_take_keeps_the_next_ones_from_nothing(server: MailServer):
    outbox = Outbox(SmtpMailer(server.config()))
    outbox.post(Letter("no address", "x", "y"))
    server.refuse = "RCPT"
    outbox.post(LETTER)
    running = asyncio.create_task(outbox.run())
    with capture_logs() as logs:
        await eventually(lambda: len(logs) == 2)
        server.refuse = ""
        outbox.post(LETTER)
        await eventually(lambda: len(server.mails) == 1)
    running.cancel()


async def test_a_full_outbox_says_so_and_keeps_nobody_waiting(server: MailServer):
    outbox = Outbox(SmtpMailer(server.config()))
    with capture_logs() as logs:
        for _ in range(MAX_WAITING + 1):
            outbox.post(LETTER)
    assert [log["cause"] for log in logs] == ["too many letters are waiting"]


async def test_without_a_mailer_nothing_is_kept():
    outbox = Outbox()
    assert not outbox.sends
    outbox.post(LETTER)
    await outbox.flush()
