"""SSH on port 22, password login; a few commands, as a device's restricted shell has them.

`name` says the device's label, `client` the peer's address, `count N` prints lines one by one, `cat` returns its input.
"""

import asyncio

import asyncssh

from .identity import WEB_PASSWORD, WEB_USER, Identity


class Login(asyncssh.SSHServer):
    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == (WEB_USER, WEB_PASSWORD)


async def serve(identity: Identity) -> asyncssh.SSHAcceptor:
    async def answer(process: "asyncssh.SSHServerProcess[str]") -> None:
        command, *arguments = (process.command or "name").split()
        if command == "name":
            process.stdout.write(f"{identity.label}\n")
        elif command == "client":
            process.stdout.write(f"{process.get_extra_info('peername')[0]}\n")
        elif command == "count" and arguments and arguments[0].isdecimal():
            for number in range(int(arguments[0])):
                process.stdout.write(f"{number}\n")
                await process.stdout.drain()
                await asyncio.sleep(0.02)
        elif command == "cat":
            async for line in process.stdin:
                process.stdout.write(line)
        else:
            process.stderr.write(f"unknown command: {command}\n")
            process.exit(127)
            return
        process.exit(0)

    key = asyncssh.generate_private_key("ssh-ed25519")
    return await asyncssh.create_server(Login, "0.0.0.0", 22, server_host_keys=[key], process_factory=answer)
