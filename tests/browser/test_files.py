"""Uploads, downloads and previews of files."""

import asyncio
import re
from pathlib import Path

import boto3
import pytest
from playwright.async_api import Page, Route, expect

from local.template.transform import read
from tests.browser.browser_errors import BrowserErrors
from tests.browser.chat_pane import ChatPane
from tests.browser.network import Network
from tests.browser.pictures import png
from tests.support.backend import ROOT
from tests.support.runner import Target, local_runner
from tests.support.users import Pair

pytestmark = pytest.mark.asyncio(loop_scope="session")


CONTENT = bytes(range(256)) * 8000


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


async def expect_picture(pane: ChatPane, name: str) -> None:
    image = pane.messages.get_by_role("img", name=name)
    await expect(image).to_be_visible()
    assert await image.evaluate("image => image.naturalWidth") == 64


async def download(pane: ChatPane, name: str) -> tuple[str, bytes]:
    async with pane.page.expect_download() as download:
        await pane.button(f"Download {name}").click()
    done = await download.value
    return done.suggested_filename, (await done.path()).read_bytes()


def requested_links(network: Network) -> int:
    """Return how many links for a download the page asked for."""
    return sum(frame["action"] == "sendfile" and "fileKey" in frame for frame in network.sent)


async def test_file_is_uploaded_with_progress_and_downloaded_by_both_users(
    panes: tuple[ChatPane, ChatPane], document: Path
) -> None:
    anna, bert = panes
    await anna.page.evaluate(
        """() => {
          window.progress = [];
          new MutationObserver((changes) => {
            for (const { target } of changes) window.progress.push(target.value);
          }).observe(document, { subtree: true, attributeFilter: ["value"] });
        }"""
    )
    await anna.attach(document)
    await expect(anna.message(document.name)).to_contain_text("Read")
    await expect(bert.message(document.name)).to_contain_text("2.0 MB")
    progress = await anna.page.evaluate("window.progress")
    assert progress == sorted(progress)
    assert progress[-1] == 1
    for pane in panes:
        name, content = await download(pane, document.name)
        assert content == CONTENT
        assert name == document.name
    await expect(anna.messages).to_have_count(1)


async def test_picture_has_a_preview_in_both_panes_and_after_a_reload(
    network: Network, panes: tuple[ChatPane, ChatPane], picture: Path
) -> None:
    anna, _ = panes
    await anna.attach(picture)
    for pane in panes:
        await expect_picture(pane, "blue.png")
    network.sent.clear()
    await anna.page.reload()  # all links are lost; the history contains new ones
    for pane in panes:
        await expect_picture(pane, "blue.png")
    assert "sendfile" not in {frame["action"] for frame in network.sent}


async def test_several_files_are_sent_at_once(
    panes: tuple[ChatPane, ChatPane], document: Path, picture: Path
) -> None:
    anna, bert = panes
    await anna.attach(document, picture)
    for name in (document.name, picture.name):
        await expect(bert.message(name)).to_be_visible()
    await expect(anna.messages).to_have_count(2)


async def test_type_and_size_are_checked_before_the_upload(
    network: Network, panes: tuple[ChatPane, ChatPane], tmp_path: Path, picture: Path
) -> None:
    anna, _ = panes
    page, large = tmp_path / "page.html", tmp_path / "large.pdf"
    page.write_text("<script>alert(1)</script>")
    with large.open("wb") as file:
        file.truncate(26214401)
    network.sent.clear()
    await anna.stage(page, large, picture)
    alert = anna.region.get_by_role("alert")
    await expect(alert).to_contain_text("“page.html” cannot be sent: this kind of file")
    await expect(alert).to_contain_text("“large.pdf” cannot be sent: it has 26 MB")
    staged = anna.region.get_by_role("list", name="Files to send").get_by_role("listitem")
    await expect(staged).to_have_count(1)
    assert "sendfile" not in {frame["action"] for frame in network.sent}


async def test_limits_of_the_page_are_the_defaults_of_the_template(
    page: Page, target: Target
) -> None:
    await page.goto(str(target.page))
    limits = await page.evaluate(
        """async () => {
          const limits = await import("/file-limits.js");
          return [limits.ALLOWED_CONTENT_TYPES.join(","), limits.MAX_FILE_BYTES];
        }"""
    )
    parameters = read(ROOT / "template-python.yaml")["Parameters"]
    assert limits == [
        parameters["AllowedContentTypes"]["Default"], parameters["MaxFileBytes"]["Default"],
    ]  # fmt: skip


async def test_backend_with_other_limits_refuses_in_plain_words(
    page: Page, target: Target, pair: Pair, picture: Path, tmp_path: Path
) -> None:
    """The page knows the defaults alone: see page/file-limits.js."""
    text = tmp_path / "long.txt"
    text.write_text("x" * 2000)
    parameters = ["MaxFileBytes=1000", "AllowedContentTypes=text/plain"]
    origin = str(target.page).rstrip("/")
    with local_runner("--allow-origin", origin, "--parameter-overrides", *parameters) as strict:
        await page.goto(f"{target.page}?url={strict.url}&me={pair.first}&with={pair.second}")
        anna = ChatPane(page, pair.first)
        await anna.expect_state("Connected")
        await anna.attach(picture, text)
        for name, words in (
            (picture.name, "must be one of: text/plain."),
            (text.name, "Too large. A file may have at most 1000 bytes."),
        ):
            await expect(anna.message(name)).to_contain_text("Not sent")
            await expect(anna.message(name).get_by_role("alert")).to_contain_text(words)
            await anna.button(f"Remove: {name}").click()
        await expect(anna.messages).to_have_count(0)
        # Or it connects again, in vain, to the runner that has ended.
        await page.goto("about:blank")


async def test_staged_file_is_removed_or_sent_with_a_caption(
    panes: tuple[ChatPane, ChatPane], document: Path, picture: Path
) -> None:
    anna, bert = panes
    await anna.stage(document, picture)
    staged = anna.region.get_by_role("list", name="Files to send").get_by_role("listitem")
    await expect(staged).to_have_count(2)
    await anna.button(f"Remove {document.name}").click()
    await expect(staged).to_have_text(re.compile("blue.png"))
    await expect(anna.text_input).to_be_focused()
    await expect(anna.messages).to_have_count(0)
    await anna.send("A caption")
    await expect(staged).to_have_count(0)
    await expect(bert.message("A caption")).to_contain_text("blue.png")
    await expect(bert.messages).to_have_count(1)


async def test_upload_is_retried_after_a_connection_reset(
    panes: tuple[ChatPane, ChatPane], document: Path, browser_errors: BrowserErrors
) -> None:
    anna, bert = panes
    browser_errors.expected.append("net::ERR_CONNECTION_RESET")
    puts = 0

    async def reset_first(route: Route) -> None:
        nonlocal puts
        puts += 1
        if puts == 1:
            await route.abort("connectionreset")
        else:
            await route.continue_()

    await anna.page.route(re.compile("x-amz-tagging|X-Amz-Signature"), reset_first)
    await anna.attach(document)
    await expect(bert.message(document.name)).to_be_visible()
    assert puts > 1


async def test_upload_succeeds_when_the_file_already_exists(
    panes: tuple[ChatPane, ChatPane], document: Path, browser_errors: BrowserErrors
) -> None:
    anna, bert = panes
    browser_errors.expected.append("412")
    content = await asyncio.to_thread(document.read_bytes)
    answers = []

    async def exists(route: Route) -> None:
        if route.request.method == "PUT":  # another one came before, whose answer was lost
            answers.append((await route.fetch(post_data=content)).status)
        await route.continue_()

    await anna.page.route(re.compile("X-Amz-Signature"), exists)
    await anna.attach(document)
    await expect(bert.message(document.name)).to_be_visible()
    assert answers == [200]


async def test_cancelled_upload_sends_no_message(
    panes: tuple[ChatPane, ChatPane], document: Path
) -> None:
    anna, bert = panes

    async def never(_route: Route) -> None:
        pass

    await anna.page.route(re.compile("X-Amz-Signature"), never)
    await anna.attach(document)
    await anna.button(f"Cancel the upload of {document.name}").click()
    await expect(anna.messages).to_have_count(0)
    await expect(bert.messages).to_have_count(0)


async def test_expired_download_link_is_replaced(
    network: Network,
    panes: tuple[ChatPane, ChatPane],
    document: Path,
    browser_errors: BrowserErrors,
) -> None:
    anna, bert = panes
    browser_errors.expected.append("403")
    await anna.attach(document)
    await expect(bert.message(document.name)).to_be_visible()
    gets = 0

    async def expire_first(route: Route) -> None:
        nonlocal gets
        gets += 1
        if gets == 1:
            await route.fulfill(status=403, headers={"Access-Control-Allow-Origin": "*"})
        else:
            await route.continue_()

    await bert.page.route(re.compile("X-Amz-Signature"), expire_first)
    network.sent.clear()
    _, content = await download(bert, document.name)
    assert content == CONTENT
    assert gets == 2
    assert requested_links(network) == 1


async def test_picture_is_shown_whole_and_opens_in_a_dialog(
    panes: tuple[ChatPane, ChatPane], tmp_path: Path
) -> None:
    anna, bert = panes
    path = tmp_path / "tall.png"
    path.write_bytes(png(30, 300))
    await anna.attach(path)
    preview = bert.messages.get_by_role("button", name="Open tall.png")
    image = preview.locator("img")
    await expect(image).to_be_visible()
    assert await image.evaluate("image => getComputedStyle(image).objectFit") == "contain"
    await preview.click()
    dialog = bert.page.get_by_role("dialog", name="tall.png")
    await expect(dialog.get_by_role("img", name="tall.png")).to_be_in_viewport(ratio=1)
    await dialog.get_by_role("button", name="Close").click()
    await expect(dialog).to_have_count(0)
    await expect(preview).to_be_focused()


async def test_preview_with_an_expired_link_renews_the_link(
    network: Network, panes: tuple[ChatPane, ChatPane], picture: Path, browser_errors: BrowserErrors
) -> None:
    anna, bert = panes
    browser_errors.expected.append("403")
    gets = 0

    async def expire_first(route: Route) -> None:
        nonlocal gets
        if route.request.method == "GET":
            gets += 1
        if route.request.method == "GET" and gets == 1:
            await route.fulfill(status=403)
        else:
            await route.continue_()

    await bert.page.route(re.compile("X-Amz-Signature"), expire_first)
    await anna.attach(picture)
    await expect_picture(bert, "blue.png")
    assert gets == 2
    assert requested_links(network) == 1


async def test_missing_file_says_so(
    panes: tuple[ChatPane, ChatPane],
    picture: Path,
    document: Path,
    target: Target,
    browser_errors: BrowserErrors,
) -> None:
    anna, bert = panes
    browser_errors.expected.extend(["403", "404"])
    await anna.attach(picture, document)
    for path in (picture, document):
        await expect(anna.message(path.name)).to_contain_text("Read")
    s3 = boto3.client(
        "s3", "us-east-1", endpoint_url=target.aws_endpoint,
        aws_access_key_id="local", aws_secret_access_key="local",
    )  # fmt: skip
    for bucket in s3.list_buckets()["Buckets"]:
        for each in s3.list_objects_v2(Bucket=bucket["Name"]).get("Contents", []):
            if anna.user_id in each["Key"]:
                s3.delete_object(Bucket=bucket["Name"], Key=each["Key"])
    await anna.page.reload()
    for pane in (anna, bert):
        await pane.expect_state("Connected")
        await pane.message(document.name).get_by_role("button", name="Download").click()
        alert = pane.message(document.name).get_by_role("alert")
        await expect(alert).to_contain_text("The file is not there any more.")
        await expect(pane.message(picture.name)).to_contain_text("The file is not there any more.")
