"""`make page`: open the function's page in a browser, and sign its requests on this machine."""

from __future__ import annotations

from deploy import console, environment
from deploy.browser import open_in_browser
from deploy.console import Failure
from deploy.function import signer
from deploy.guarded_server import port
from deploy.signing_proxy import Refusal, SigningProxy
from deploy.terraform import Stack


def require_page(proxy: SigningProxy) -> None:
    """Raise Failure if the function does not answer with its page."""
    try:
        answer = proxy.forward("GET", "/", b"", {})
    except Refusal as refusal:
        raise Failure(refusal.message) from refusal
    if answer.status != 200:
        words = answer.body.decode(errors="replace")[:500]
        raise Failure(f"{proxy.url}/ answers with status {answer.status}: {words}")


def main() -> None:
    parser = console.Parser(description="Open the function's page.")
    parser.add_argument("--port", type=port, default=0, help="the port on 127.0.0.1; default: any free port")
    wanted = parser.parse_args().port
    deployment = Stack(environment.current()).require_deployment()
    signing = signer(deployment)
    try:
        proxy = SigningProxy(deployment.function_url, signing, wanted, say=say)
    except OSError as error:
        raise Failure(
            f"Port {wanted} cannot be used: {error.strerror}. Leave out PORT to use any free port."
        ) from error
    with proxy:
        require_page(proxy)
        opened = "" if open_in_browser(proxy.address) else ": open it in a browser of this machine"
        console.done(f"{proxy.address} is the page of the function{opened}")
        if signing:
            console.out.print("  This machine signs its requests with your credentials.")
        console.out.print("  To stop: Ctrl-C")
        try:
            proxy.serve_forever()
        except KeyboardInterrupt:
            console.out.print()
            console.done("The page is closed. Nothing on AWS was changed.")


def say(words: str) -> None:
    console.out.print(f"  {words}", markup=False)


if __name__ == "__main__":
    console.run(main)
