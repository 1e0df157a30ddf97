"""Routes for those who hold no key: Resend's webhooks, and the links to unsubscribe in e-mails.

Both prove themselves by a signature. They write, each through one function of the database and nothing else.
"""

from __future__ import annotations

from uuid import UUID

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.responses import HTMLResponse

from bn_aura_pipelines.api.reading import house_of
from bn_aura_pipelines.settings import Settings
from bn_aura_pipelines.triggers.links import verify
from bn_aura_pipelines.triggers.webhooks import TAKE, WebhookRefused, read_webhook

LARGEST_EVENT_BYTES = 256_000

PAGE = """<!doctype html>
<html lang="th"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex"><title>{title}</title><style>
body {{ margin: 0; background: #f4f1ee; color: #2f2a28; font: 17px/1.7 'Noto Sans Thai', Sarabun, Tahoma, sans-serif; }}
main {{ max-width: 30rem; margin: 12vh auto 0; padding: 2rem; background: #fff; border-radius: 12px; }}
button {{ font: inherit; padding: .6rem 1.2rem; border: 0; border-radius: 8px; background: #7a4b57; color: #fff; }}
</style></head><body><main>{content}</main></body></html>"""
ASK = """<p>ต้องการยกเลิกการรับอีเมลจากคลินิกหรือไม่<br>Stop e-mails from this clinic?</p>
<form method="post"><button>ยกเลิกการรับอีเมล · Unsubscribe</button></form>"""
DONE = "<p>ยกเลิกเรียบร้อยแล้ว คุณจะไม่ได้รับอีเมลข่าวสารอีก<br>You are unsubscribed.</p>"


def add_hooks(app: FastAPI, settings: Settings) -> None:
    """Add these routes. They stand in no document: nobody but Resend and recipients has a use for them."""

    @app.post("/webhooks/resend", include_in_schema=False)
    async def resend_webhook(request: Request) -> Response:
        if settings.resend_webhook_secret is None:
            raise HTTPException(404, "Webhooks are not set up here: BN_AURA_RESEND_WEBHOOK_SECRET is empty.")
        payload = b""
        async for chunk in request.stream():
            payload += chunk
            if len(payload) > LARGEST_EVENT_BYTES:
                raise HTTPException(413, "No event is as large as this.")
        try:
            secret = settings.resend_webhook_secret.get_secret_value()
            event = read_webhook(payload.decode("utf-8", "replace"), request.headers, secret)
        except WebhookRefused as error:
            raise HTTPException(400, f"The webhook is refused: {error}.") from error
        await house_of(request).connections.fetchval(TAKE, *vars(event).values())
        return Response(status_code=204)

    @app.get("/unsubscribe/{token}", include_in_schema=False)
    async def ask(token: str) -> Response:
        # Programs that look into mail follow links: only the button, or the mail program's own, unsubscribes.
        _message(token)
        return _page(ASK)

    @app.post("/unsubscribe/{token}", include_in_schema=False)
    async def unsubscribe(request: Request, token: str) -> Response:
        if not await house_of(request).connections.fetchval("select aura_ops.unsubscribe($1)", _message(token)):
            raise HTTPException(404, "This link is not one of ours.")
        return _page(DONE)

    def _message(token: str) -> UUID:
        secret = settings.unsubscribe_secret
        found = verify(token, secret.get_secret_value()) if secret else None
        if found is None:
            raise HTTPException(404, "This link is not one of ours.")
        return found


def _page(content: str) -> HTMLResponse:
    return HTMLResponse(PAGE.format(title="ยกเลิกการรับอีเมล · Unsubscribe", content=content))
