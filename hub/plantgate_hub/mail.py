"""Mail to people: a port, SMTP behind it, and an outbox, so that nobody waits for a mail server.

Letters are few and small: links for invitations and new passwords, and news about one's own account. What is lost with
a restart is asked for again by whoever waits for it.
"""

import asyncio
import smtplib
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Protocol

from plantgate_shared.errors import PlantgateError
from plantgate_shared.logging import Event, get_logger

from .config import Mail as MailConfig
from .config import MailSecurity

TIMEOUT = 20.0
"""Seconds for each answer of the mail server."""
MAX_WAITING = 1000
"""Letters in the outbox; more than that are dropped, and logged."""
_PERMANENT = 500
RETRIES = (5.0, 60.0)
"""Seconds before the second and the third try."""


class MailNotSent(PlantgateError):
    """`for_good`: the mail server will not take it later either."""

    http_status = 503

    def __init__(self, message: str, *, for_good: bool = False) -> None:
        super().__init__(message)
        self.for_good = for_good


@dataclass(frozen=True, slots=True)
class Letter:
    """One mail to one person. It may hold a link that is a secret."""

    to: str
    subject: str
    text: str = field(repr=False)


class Mailer(Protocol):
    async def send(self, letter: Letter) -> None:
        """Hand the letter over to the mail server. Raises MailNotSent."""


class SmtpMailer:
    """RFC 5321 by the standard library, in a thread, one connection a letter."""

    def __init__(self, config: MailConfig) -> None:
        self._config = config

    async def send(self, letter: Letter) -> None:
        try:
            await asyncio.to_thread(self._send, letter)
        except (OSError, smtplib.SMTPException, MessageError, ValueError) as error:
            # a server's answer may repeat the address, which no log shows: the kind of error has to do
            cause = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
            text = f"the mail server {self._config.host} did not take the mail: {cause}"
            raise MailNotSent(text, for_good=_is_for_good(error)) from None

    def _send(self, letter: Letter) -> None:
        message = self._message(letter)
        config = self._config
        tls = ssl.create_default_context()
        if config.security is MailSecurity.TLS:
            connection: smtplib.SMTP = smtplib.SMTP_SSL(config.host, config.port, timeout=TIMEOUT, context=tls)
        else:
            connection = smtplib.SMTP(config.host, config.port, timeout=TIMEOUT)
        with connection:
            if config.security is MailSecurity.STARTTLS:
                connection.starttls(context=tls)
            if config.password_file is not None:
                connection.login(config.user, config.password_file.read_text(encoding="utf-8").splitlines()[0])
            connection.send_message(message, config.sender, [letter.to])

    def _message(self, letter: Letter) -> EmailMessage:
        message = EmailMessage()
        message["From"] = Address("Plantgate", addr_spec=self._config.sender)
        message["To"] = Address(addr_spec=letter.to)  # exactly one, whatever its text looks like
        message["Subject"] = letter.subject
        message["Date"] = formatdate()
        message["Message-ID"] = make_msgid(domain=self._config.sender.rpartition("@")[2])
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers
        message.set_content(letter.text, cte="quoted-printable")  # not every server takes eight bits
        return message


def _is_for_good(error: Exception) -> bool:
    """Whether it is about this letter, and the answer stays the same (RFC 5321, 4.2.1: 5yz)."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return all(code >= _PERMANENT for code, _ in error.recipients.values())
    return isinstance(error, MessageError | ValueError | smtplib.SMTPNotSupportedError)


Writing = Callable[[], Awaitable[Letter | None]]
"""Makes a letter when its turn comes, or finds that there is none to send."""


class Outbox:
    """Letters on their way. Without a mailer nothing is ever sent, and links are shown to whoever makes them."""

    def __init__(self, mailer: Mailer | None = None) -> None:
        self._mailer = mailer
        self._waiting: asyncio.Queue[Writing] = asyncio.Queue(MAX_WAITING)

    @property
    def sends(self) -> bool:
        return self._mailer is not None

    def post(self, letter: Letter) -> None:
        """Send it soon."""

        async def written() -> Letter:
            return letter

        self.post_written(written)

    def post_written(self, write: Writing) -> None:
        """The same for a letter that is written later: whoever asks for it learns nothing from the time that takes."""
        if self._mailer is None:
            return
        try:
            self._waiting.put_nowait(write)
        except asyncio.QueueFull:
            get_logger().error(Event.MAIL_NOT_SENT, cause="too many letters are waiting")

    async def run(self) -> None:
        """Send what is posted, until cancelled."""
        while True:
            await self._deliver(await self._waiting.get(), RETRIES)

    async def flush(self) -> None:
        """Send what waits now, each letter tried once: for a command that ends afterwards."""
        while not self._waiting.empty():
            await self._deliver(self._waiting.get_nowait(), ())

    async def _deliver(self, write: Writing, retries: tuple[float, ...]) -> None:
        try:
            letter = await write()
            if letter is not None and self._mailer is not None:
                await _send(self._mailer, letter, retries)
        except PlantgateError as error:
            get_logger().error(Event.MAIL_NOT_SENT, cause=str(error))
        except Exception:  # the next letter is somebody else's
            get_logger().exception(Event.MAIL_NOT_SENT)


async def _send(mailer: Mailer, letter: Letter, retries: tuple[float, ...]) -> None:
    for pause in retries:
        try:
            return await mailer.send(letter)
        except MailNotSent as error:
            if error.for_good:  # the letters behind it wait for nothing
                raise
            await asyncio.sleep(pause)
    return await mailer.send(letter)
