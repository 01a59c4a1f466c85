"""Pictures over HTTP: taken, drawn anew, sent, replaced, removed; and what is none."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from PIL import Image

from supover import settings as configuration
from supover.customers import avatars, jobs
from supover.kit import ids, storage
from supover.kit.db import Database
from supover.kit.jobs import JobContext
from tests.makers import (
    Json,
    Workspace,
    application,
    client,
    make_customer,
    make_key,
    make_workspace,
    png,
    pointers,
    told,
)


@pytest.fixture(autouse=True)
def folder(db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where files are kept while this test runs."""
    state: Any = application(db).app.state
    here = msgspec.structs.replace(state.settings, storage_url=tmp_path.as_uri())
    monkeypatch.setattr(state, "settings", here)
    monkeypatch.setattr(configuration, "load", lambda: here)
    return tmp_path / "avatars"


def kept(folder: Path) -> list[Path]:
    """The files of pictures."""
    return list(folder.glob("*"))


def picture(kind: str, size: tuple[int, int] = (30, 20), colour: str = "red", **more: Any) -> bytes:
    out = BytesIO()
    Image.new("RGB", size, colour).save(out, kind, **more)
    return out.getvalue()


def put(api: httpx.AsyncClient, customer: Json, data: bytes, kind: str = "image/png", **headers: str) -> Any:
    content_type = {"Content-Type": kind} if kind else {}
    return api.put(f"/api/customers/{customer['id']}/avatar", content=data, headers=content_type | headers)


def get(api: httpx.AsyncClient, customer: Json, **headers: str) -> Any:
    return api.get(f"/api/customers/{customer['id']}/avatar", headers=headers)


def drawn(answer: httpx.Response) -> Image.Image:
    assert answer.status_code == 200, answer.text
    return Image.open(BytesIO(answer.content))


async def work(db: Database, shop: Workspace) -> None:
    """Runs what was deferred, as the worker does after the commit."""
    async with db.reader(shop.id) as reader:
        sql = "select args from job where workspace_id = $1 and kind = $2 and state = 'queued'"
        for args in await reader.column(sql, avatars.FORGET_JOB):
            context = JobContext(db, shop.id, ids.new(), avatars.FORGET_JOB, "tests")
            await jobs.forget_avatar(context, args["key"])


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
async def test_a_picture_is_taken_and_sent_as_ours(api: httpx.AsyncClient, kind: str) -> None:
    ann = await make_customer(api, name="Ann")
    answer = await put(api, ann, picture(kind, (1000, 500)), f"image/{kind.lower()}")
    assert told(answer) == {"avatarUrl": f"/api/customers/{ann['id']}/avatar", "width": 512, "height": 256}
    now = told(await api.get(f"/api/customers/{ann['id']}"))
    assert now == ann | {
        "avatarUrl": f"/api/customers/{ann['id']}/avatar",
        "version": 2,
        "updatedAt": now["updatedAt"],
    }
    found = await api.get(now["avatarUrl"])
    image = drawn(found)
    assert (image.format, image.size) == ("WEBP", (512, 256))
    assert found.headers["content-type"] == "image/webp"
    assert found.headers["x-content-type-options"] == "nosniff"
    assert found.headers["content-disposition"] == f'attachment; filename="{ann["id"]}.webp"'
    assert found.headers["cache-control"] == "private, no-cache"
    assert found.headers["content-length"] == str(len(found.content))
    assert found.headers["etag"] == answer.headers["etag"]


async def test_a_form_with_the_file_is_the_same(api: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann")
    path = f"/api/customers/{ann['id']}/avatar"
    sent = ("../../etc/passwd.html", picture("JPEG"), "text/html")
    assert told(await api.put(path, files={"file": sent}))["width"] == 30
    assert drawn(await get(api, ann)).size == (30, 20)
    assert pointers(await api.put(path, files={"picture": sent})) == ["/picture"]
    assert pointers(await api.put(path, files={"file": sent}, data={"name": "x"})) == ["/name"]
    two = [("file", sent), ("file", sent)]
    assert pointers(await api.put(path, files=two)) == ["/file"]


async def test_who_has_the_picture_is_told_that_it_is_the_same(api: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann")
    etag = (await put(api, ann, picture("PNG"))).headers["etag"]
    for known in (etag, f'"x", W/{etag}', "*"):
        answer = await get(api, ann, **{"If-None-Match": known})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", etag)
        assert answer.headers["cache-control"] == "private, no-cache"
    newer = (await put(api, ann, picture("PNG", colour="blue"))).headers["etag"]
    assert newer != etag
    assert (await get(api, ann, **{"If-None-Match": etag})).status_code == 200


async def test_a_picture_is_replaced_and_removed_at_the_version_that_was_seen(api: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann")
    path = f"/api/customers/{ann['id']}/avatar"
    assert (await put(api, ann, png(), **{"If-Match": "*"})).status_code == 412
    etag = (await put(api, ann, png())).headers["etag"]
    assert (await put(api, ann, png(), **{"If-Match": '"1"'})).status_code == 412
    newer = (await put(api, ann, png(), **{"If-Match": etag})).headers["etag"]
    assert (await api.delete(path, headers={"If-Match": etag})).status_code == 412
    assert (await api.delete(path, headers={"If-Match": newer})).status_code == 204
    assert (await get(api, ann)).status_code == 404


async def test_only_the_picture_that_is_shown_stays_on_the_disk(
    api: httpx.AsyncClient, db: Database, shop: Workspace, folder: Path
) -> None:
    ann, bo = await make_customer(api, name="Ann"), await make_customer(api, name="Bo")
    for colour in ("red", "blue"):
        told(await put(api, ann, picture("PNG", colour=colour)))
    told(await put(api, bo, png()))
    assert len(kept(folder)) == 3
    await work(db, shop)
    assert len(kept(folder)) == 2
    assert drawn(await get(api, ann)).convert("RGB").getpixel((5, 5)) == pytest.approx((0, 0, 255), abs=4)
    path = f"/api/customers/{ann['id']}"
    answer = await api.delete(f"{path}/avatar")
    assert (answer.status_code, answer.content) == (204, b"")
    await work(db, shop)
    assert len(kept(folder)) == 1
    assert (await api.delete(f"{path}/avatar")).status_code == 404
    assert told(await api.get(path))["avatarUrl"] is None
    kinds = [e["type"] for e in told(await api.get(f"{path}/timeline"))["data"]]
    assert kinds == ["AvatarRemoved", "AvatarChanged", "AvatarChanged", "CustomerCreated"]
    actions = [row["action"] for row in told(await api.get("/api/audit", params={"subjectId": ann["id"]}))["data"]]
    assert actions == ["avatars.delete", "avatars.put", "avatars.put", "customers.create"]


async def test_a_picture_that_two_show_is_forgotten_with_the_second(
    api: httpx.AsyncClient, db: Database, shop: Workspace, folder: Path
) -> None:
    """As after a merge."""
    ann, bo = await make_customer(api, name="Ann"), await make_customer(api, name="Bo")
    told(await put(api, ann, png()))
    async with db.tx(shop.id) as tx:
        await tx.run(
            "update customer b set avatar_key = a.avatar_key from customer a"
            " where b.workspace_id = $1 and a.workspace_id = $1 and b.id = $2 and a.id = $3", bo["id"], ann["id"],
        )  # fmt: skip
    await api.delete(f"/api/customers/{ann['id']}/avatar")
    await work(db, shop)
    assert (await get(api, bo)).status_code == 200
    await api.delete(f"/api/customers/{bo['id']}/avatar")
    await work(db, shop)
    assert kept(folder) == []


# --- what is none ----------------------------------------------------------------------------------------------------

GIF = BytesIO()
Image.new("RGB", (3, 3)).save(GIF, "GIF")
TIFF = BytesIO()
Image.new("RGB", (3, 3)).save(TIFF, "TIFF")


@pytest.mark.parametrize(
    ("data", "kind", "status"),
    [
        (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "image/svg+xml", 415),
        (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "image/png", 415),
        (b"<!doctype html><script>alert(1)</script>", "image/jpeg", 415),
        (GIF.getvalue(), "image/gif", 415),
        (GIF.getvalue(), "image/png", 415),
        (GIF.getvalue() + b"/*<script>*/", "image/webp", 415),
        (TIFF.getvalue(), "image/jpeg", 415),
        (b"%PDF-1.7", "application/octet-stream", 415),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "image/png", 415),
        (b"", "image/png", 415),
        (png(), "", 415),
        (png(), "text/html", 415),
        (png(), "application/json", 415),
        (png()[:45], "image/png", 422),
        (png()[:20], "image/png", 422),
        (b"\xff\xd8\xff<script>alert(1)</script>", "image/jpeg", 422),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "image/webp", 422),
        (png(4097, 4096), "image/png", 422),
        (png(16_001, 1), "image/png", 422),
        (png() + b"\0" * avatars.MAX_BYTES, "image/png", 413),
    ],
)
async def test_what_is_no_picture_is_refused_and_changes_nothing(
    api: httpx.AsyncClient, folder: Path, data: bytes, kind: str, status: int
) -> None:
    ann = await make_customer(api, name="Ann")
    answer = await put(api, ann, data, kind)
    told(answer, status)
    assert answer.headers["content-type"] == "application/problem+json"
    assert told(await api.get(f"/api/customers/{ann['id']}")) == ann
    assert not kept(folder)


async def test_what_is_beside_the_pixels_is_gone(api: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann")
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "taken at home"
    exif[0x8825] = {1: "N", 2: (52.0, 31.0, 12.0)}
    sent = picture("JPEG", (40, 20), exif=exif, comment=b"<script>alert(1)</script>") + b"<?php system('id'); ?>"
    assert b"taken at home" in sent
    assert told(await put(api, ann, sent, "image/jpeg")) | {"avatarUrl": ""} == {
        "avatarUrl": "",
        "width": 20,
        "height": 40,
    }
    found = await get(api, ann)
    assert not {"exif", "icc_profile", "xmp"} & set(drawn(found).info)
    for left in (b"taken", b"script", b"php", b"Exif", b"EXIF"):
        assert left not in found.content


async def test_a_picture_larger_than_is_taken_stops_on_its_way(api: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann")
    sent = 0

    async def endless() -> AsyncGenerator[bytes]:
        nonlocal sent
        yield png()
        while sent < 50 << 20:
            sent += 1 << 16
            yield b"\0" * (1 << 16)

    path = f"/api/customers/{ann['id']}/avatar"
    answer = await api.put(path, content=endless(), headers={"Content-Type": "image/png"})
    assert answer.status_code == 413
    assert sent <= avatars.MAX_BYTES + (1 << 20)
    form = {"file": ("me.png", png() + b"\0" * (4 << 20))}
    assert (await api.put(path, files=form)).status_code == 413


async def test_the_loop_turns_while_a_picture_is_decoded(api: httpx.AsyncClient) -> None:
    ann = await make_customer(api, name="Ann")
    large = png(4096, 4096)
    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0.005)
            turns += 1

    turning = asyncio.ensure_future(turn())
    told(await put(api, ann, large))
    turning.cancel()
    assert turns >= 5


# --- whose it is -----------------------------------------------------------------------------------------------------


async def test_a_strangers_picture_is_404(api: httpx.AsyncClient, db: Database, shop: Workspace) -> None:
    ann = await make_customer(api, name="Ann")
    told(await put(api, ann, png()))
    path = f"/api/customers/{ann['id']}/avatar"
    async with client(db, (await make_workspace(db)).key) as stranger:
        for answer in (await get(stranger, ann), await put(stranger, ann, png()), await stranger.delete(path)):
            assert answer.status_code == 404
    async with client(db, await make_key(db, shop.id, "customers:read")) as reader:
        assert (await get(reader, ann)).status_code == 200
        assert (await put(reader, ann, png())).status_code == 403
        assert (await reader.delete(path)).status_code == 403
    async with client(db) as nobody:
        assert (await get(nobody, ann)).status_code == 401
        assert (await put(nobody, ann, png())).status_code == 401
    await api.delete(f"/api/customers/{ann['id']}")
    for answer in (await get(api, ann), await put(api, ann, png()), await api.delete(path)):
        assert answer.status_code == 404
    await api.post(f"/api/customers/{ann['id']}/restore")
    assert (await get(api, ann)).status_code == 200
    assert pointers(await api.put(f"{path}?side=9", content=png(), headers={"Content-Type": "image/png"})) == ["side"]


async def test_a_file_that_is_gone_is_404(api: httpx.AsyncClient, folder: Path) -> None:
    ann = await make_customer(api, name="Ann")
    told(await put(api, ann, png()))
    for file in kept(folder):
        file.unlink()
    assert (await get(api, ann)).json()["type"].endswith("/file-gone")


async def test_of_two_that_replace_a_picture_at_once_one_is_shown(
    api: httpx.AsyncClient, db: Database, shop: Workspace, folder: Path
) -> None:
    ann = await make_customer(api, name="Ann")
    sent: list[Callable[[], Any]] = [lambda n=n: put(api, ann, png(n, n)) for n in range(1, 7)]
    for answer in await asyncio.gather(*(one() for one in sent)):
        told(answer)
    await work(db, shop)
    assert len(kept(folder)) == 1
    assert drawn(await get(api, ann)).size[0] in range(1, 7)


async def test_a_write_that_fails_leaves_no_file(
    api: httpx.AsyncClient, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = await make_customer(api, name="Ann")
    keep = storage.FileStorage.put

    async def put_and_delete(self: storage.FileStorage, *args: Any, **more: Any) -> str:
        key = await keep(self, *args, **more)
        await api.delete(f"/api/customers/{ann['id']}")
        return key

    monkeypatch.setattr(storage.FileStorage, "put", put_and_delete)
    assert (await put(api, ann, png())).status_code == 404
    assert kept(folder) == []
