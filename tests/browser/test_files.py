"""Files go up and come down."""

import re
import struct
import zlib
from pathlib import Path

import pytest
from playwright.async_api import Route, expect

from tests.browser.conftest import Complaints
from tests.browser.side import Side

pytestmark = pytest.mark.asyncio(loop_scope="session")


CONTENT = bytes(range(256)) * 8000


def png(width: int, height: int) -> bytes:
    """Make a picture, all of one colour."""
    rows = (b"\0" + b"\x3f\x5b\xd8" * width) * height

    def chunk(kind: bytes, content: bytes) -> bytes:
        checked = kind + content
        return struct.pack(">I", len(content)) + checked + struct.pack(">I", zlib.crc32(checked))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


@pytest.fixture
def document(tmp_path: Path) -> Path:
    path = tmp_path / "Über #1 & 50%.pdf"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "blue.png"
    path.write_bytes(png(64, 40))
    return path


async def is_shown(side: Side, name: str) -> None:
    image = side.messages.get_by_role("img", name=name)
    await expect(image).to_be_visible()
    assert await image.evaluate("image => image.naturalWidth") == 64


async def downloaded(side: Side, name: str) -> tuple[str, bytes]:
    async with side.page.expect_download() as download:
        await side.button(f"Download {name}").click()
    done = await download.value
    return done.suggested_filename, (await done.path()).read_bytes()


async def test_a_file_goes_up_with_progress_and_comes_down(
    sides: tuple[Side, Side], document: Path
) -> None:
    here, there = sides
    await here.page.evaluate(
        """() => {
          window.progress = [];
          new MutationObserver((changes) => {
            for (const { target } of changes) window.progress.push(target.value);
          }).observe(document, { subtree: true, attributeFilter: ["value"] });
        }"""
    )
    await here.attach(document)
    await expect(here.message(document.name)).to_contain_text("Delivered")
    await expect(there.message(document.name)).to_contain_text("2.0 MB")
    progress = await here.page.evaluate("window.progress")
    assert progress == sorted(progress)
    assert progress[-1] == 1
    for side in sides:
        name, content = await downloaded(side, document.name)
        assert content == CONTENT
        assert name == document.name
    await expect(here.messages).to_have_count(1)


async def test_an_image_is_shown_on_both_sides_and_after_a_reload(
    sides: tuple[Side, Side], picture: Path
) -> None:
    here, _ = sides
    await here.attach(picture)
    for side in sides:
        await is_shown(side, "blue.png")
    await here.page.reload()  # which forgets all links: fresh ones are asked for
    for side in sides:
        await is_shown(side, "blue.png")


async def test_several_files_go_up_side_by_side(
    sides: tuple[Side, Side], document: Path, picture: Path
) -> None:
    here, there = sides
    await here.attach(document, picture)
    for name in (document.name, picture.name):
        await expect(there.message(name)).to_be_visible()
    await expect(here.messages).to_have_count(2)


async def test_a_file_of_a_kind_that_is_not_taken_is_refused_in_words(
    sides: tuple[Side, Side], tmp_path: Path
) -> None:
    here, there = sides
    path = tmp_path / "page.html"
    path.write_text("<script>alert(1)</script>")
    await here.attach(path)
    refused = here.message("page.html")
    await expect(refused).to_contain_text("Not sent")
    await expect(refused.get_by_role("alert")).to_contain_text(
        "This kind of file is not taken. `contentType` must be one of"
    )
    await refused.get_by_role("button", name="Remove").click()
    await expect(here.messages).to_have_count(0)
    await expect(there.messages).to_have_count(0)


async def test_an_upload_that_breaks_off_goes_on_by_itself(
    sides: tuple[Side, Side], document: Path, complaints: Complaints
) -> None:
    here, there = sides
    complaints.expected.append("net::ERR_CONNECTION_RESET")
    puts = 0

    async def break_off(route: Route) -> None:
        nonlocal puts
        puts += 1
        if puts == 1:
            await route.abort("connectionreset")
        else:
            await route.continue_()

    await here.page.route(re.compile("x-amz-tagging|X-Amz-Signature"), break_off)
    await here.attach(document)
    await expect(there.message(document.name)).to_be_visible()
    assert puts > 1


async def test_an_upload_whose_answer_was_lost_is_there(
    sides: tuple[Side, Side], document: Path, complaints: Complaints
) -> None:
    here, there = sides
    # S3's word for a file that is there already; moto takes it a second time.
    complaints.expected.append("412")

    async def exists(route: Route) -> None:
        await route.fetch()
        await route.fulfill(status=412, headers={"Access-Control-Allow-Origin": "*"})

    await here.page.route(re.compile("X-Amz-Signature"), exists)
    await here.attach(document)
    await expect(there.message(document.name)).to_be_visible()


async def test_an_upload_can_be_cancelled(sides: tuple[Side, Side], document: Path) -> None:
    here, there = sides

    async def never(_route: Route) -> None:
        pass

    await here.page.route(re.compile("X-Amz-Signature"), never)
    await here.attach(document)
    await here.button(f"Cancel the upload of {document.name}").click()
    await expect(here.messages).to_have_count(0)
    await expect(there.messages).to_have_count(0)


async def test_a_link_that_has_run_out_is_replaced(
    sides: tuple[Side, Side], document: Path, complaints: Complaints
) -> None:
    here, there = sides
    complaints.expected.append("403")
    await here.attach(document)
    await expect(there.message(document.name)).to_be_visible()
    gets = 0

    async def run_out(route: Route) -> None:
        nonlocal gets
        gets += 1
        if gets == 1:
            await route.fulfill(status=403, headers={"Access-Control-Allow-Origin": "*"})
        else:
            await route.continue_()

    await there.page.route(re.compile("X-Amz-Signature"), run_out)
    _, content = await downloaded(there, document.name)
    assert content == CONTENT
    assert gets == 2
