from __future__ import annotations

import dataclasses
import re
import textwrap
import traceback
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from segmentstream_api.config import EventSelection, load_settings
from segmentstream_api.contract.schemas import load_schema
from segmentstream_api.destinations.base import Destination
from segmentstream_api.destinations.registry import load_registry
from segmentstream_api.errors import ConfigError
from segmentstream_api.http.auth import token_digest
from tests.fakes import FakeDestination

DOCS = Path(__file__).parents[1] / "docs"
DIGEST = token_digest("abc123")
OTHER_DIGEST = token_digest("abc124")
PROJECT = f"""
[projects.shop]
tokens = ["{DIGEST}"]
"""


class Fake(FakeDestination):
    settings_schema = {  # noqa: RUF012 - constant
        "type": "object",
        "required": ["key"],
        "properties": {
            "key": {"type": "string", "minLength": 4, "writeOnly": True},
            "keys": {"type": "array", "items": {"type": "string"}, "writeOnly": True},
            "folder": {"type": "string", "format": "path", "default": "fake"},
            "timeout_seconds": {"type": "number", "maximum": 60, "default": 3},
        },
    }

    def __init__(self, name, settings):
        super().__init__(name)
        self.settings = settings

    def check(self):
        return ["key: must not be 'wrong'"] if self.settings["key"] == "wrong" else []


REGISTRY: dict[str, type[Destination]] = {**load_registry([]), "fake": Fake}


@pytest.fixture
def load(tmp_path):
    """Loads a configuration from its text."""

    def load(text, environ=None):
        path = tmp_path / "segmentstream.toml"
        path.write_text(textwrap.dedent(text), "utf-8")
        return load_settings(path, environ=environ or {}, registry=REGISTRY)

    return load


@pytest.fixture
def problems(load):
    """What is wrong with a configuration: detail by place."""

    def problems(text, environ=None):
        with pytest.raises(ConfigError) as refused:
            load(text, environ)
        found = [(problem.place, problem.detail) for problem in refused.value.problems]
        assert len(dict(found)) == len(found), "a place is named once"
        return dict(found)

    return problems


class TestAGoodFile:
    def test_needs_no_more_than_a_project_with_a_token(self, load, tmp_path):
        settings = load(PROJECT)
        assert settings.source == tmp_path / "segmentstream.toml"
        (project,) = settings.projects
        assert (project.name, project.tokens, project.destinations) == ("shop", (DIGEST,), ())
        assert settings.destinations == ()

    def test_has_sensible_values_for_everything_that_it_does_not_say(self, load, tmp_path):
        settings = load(PROJECT)
        assert settings.store.path == tmp_path / "segmentstream.db"
        assert settings.store.dedup_window_seconds == 24 * 3600
        assert settings.store.disk_floor_bytes is None
        assert settings.delivery.push_budget_seconds == 2
        assert settings.delivery.retry_for_seconds == 72 * 3600
        assert settings.delivery.keep_dead_letters_seconds == 30 * 86400
        assert settings.delivery.most_waiting_requests == 4

    def test_is_taken_at_its_word(self, load, tmp_path):
        settings = load(
            PROJECT
            + """
            [store]
            url = "sqlite:///data/events.db"
            dedup_window_hours = 1.5
            disk_floor_megabytes = 100
            [delivery]
            push_budget_seconds = 0.5
            retry_for_hours = 1
            keep_dead_letters_days = 0.5
            most_waiting_requests = 1
            """
        )
        assert settings.store.path == tmp_path / "data" / "events.db"
        assert settings.store.dedup_window_seconds == 5400
        assert settings.store.disk_floor_bytes == 100 * 1024 * 1024
        assert settings.delivery.push_budget_seconds == 0.5
        assert settings.delivery.retry_for_seconds == 3600
        assert settings.delivery.keep_dead_letters_seconds == 43200
        assert settings.delivery.most_waiting_requests == 1

    def test_may_name_an_absolute_path(self, load):
        settings = load(PROJECT + '[store]\nurl = "sqlite:////var/lib/events.db"')
        assert settings.store.path == Path("/var/lib/events.db")

    @pytest.mark.parametrize("scheme", ["postgresql", "postgres"])
    def test_may_keep_its_store_in_postgresql_and_shows_no_password(self, load, scheme):
        url = f"{scheme}://writer:{CANARY}@db.example.com/shop?sslmode=verify-full"
        settings = load(f'{PROJECT}[store]\nurl = "{url}"\ndedup_window_hours = 2')
        assert (settings.store.dsn, settings.store.dedup_window_seconds) == (url, 7200)
        assert CANARY not in repr(settings)

    def test_gives_each_project_what_browsers_and_sdks_may_do(self, load):
        (project,) = load(
            f"""
            {PROJECT}
            browser_tokens = ["{OTHER_DIGEST}"]
            segment_names = "keep"
            [projects.shop.browser]
            project_id = "p-1"
            origins = ["https://shop.example.com", "http://a:8080", "http://[::1]:1", "null"]
            """
        ).projects
        assert project.browser_tokens == (OTHER_DIGEST,)
        assert project.segment_names == "keep"
        assert project.browser.project_id == "p-1"
        assert project.browser.origins[0] == "https://shop.example.com"
        assert len(project.browser.origins) == 4

    def test_opens_nothing_to_browsers_unless_told(self, load):
        (project,) = load(PROJECT).projects
        assert (project.browser_tokens, project.browser.origins) == ((), ())
        assert project.browser.project_id is None
        assert project.segment_names == "translate"

    def test_gives_each_project_its_tokens_and_destinations_in_order_and_once(self, load):
        settings = load(
            f"""
            [projects.shop]
            tokens = ["{OTHER_DIGEST}", "{DIGEST}", "{OTHER_DIGEST}"]
            destinations = ["b", "a", "b"]
            [destinations.a]
            type = "fake"
            key = "kkkk"
            [destinations.b]
            type = "fake"
            key = "kkkk"
            """
        )
        (project,) = settings.projects
        assert project.tokens == (OTHER_DIGEST, DIGEST)
        assert project.destinations == ("b", "a")
        assert [each.name for each in settings.destinations] == ["a", "b"]

    def test_gives_a_destination_its_settings_with_defaults_and_paths_filled_in(
        self, load, tmp_path
    ):
        settings = load(
            PROJECT
            + """
            [destinations.a]
            type = "fake"
            key = "kkkk"
            [destinations.b]
            type = "fake"
            key = "kkkk"
            folder = "/somewhere"
            timeout_seconds = 9
            """
        )
        first, second = (each.build() for each in settings.destinations)
        assert first.settings == {
            "key": "kkkk",
            "folder": str(tmp_path / "fake"),
            "timeout_seconds": 3,
        }
        assert second.settings["folder"] == "/somewhere"
        assert second.timeout_seconds == 9
        assert (first.name, type(first)) == ("a", Fake)

    def test_cannot_be_changed_once_it_is_loaded(self, load):
        settings = load(PROJECT + '[destinations.a]\ntype = "fake"\nkey = "kkkk"')
        with pytest.raises(dataclasses.FrozenInstanceError):
            settings.delivery.push_budget_seconds = 9
        with pytest.raises(TypeError):
            settings.destinations[0].settings["key"] = "other"


class TestWhichEventsADestinationGets:
    def test_all_of_them_unless_it_says_otherwise(self, load):
        settings = load(PROJECT + '[destinations.a]\ntype = "fake"\nkey = "kkkk"')
        assert settings.destinations[0].events == EventSelection()
        assert EventSelection().admits("Registered")
        assert EventSelection().admits("")

    def test_only_those_that_it_names_and_none_that_it_excludes(self, load):
        settings = load(
            PROJECT
            + """
            [destinations.a]
            type = "fake"
            key = "kkkk"
            events = ["Registered", "Refunded"]
            exclude_events = ["Refunded"]
            """
        )
        events = settings.destinations[0].events
        names = ["Registered", "Refunded", "Viewed", ""]
        assert [name for name in names if events.admits(name)] == ["Registered"]


class TestHowManyRequestsADestinationGetsAtOnce:
    @pytest.mark.parametrize(
        ("type_name", "usual"), [("webhook", 16), ("segment", 4), ("postgresql", 4)]
    )
    def test_is_few_for_a_type_that_sends_batches_and_more_for_one_that_does_not(
        self, type_name, usual
    ):
        assert REGISTRY[type_name].usual_concurrency() == usual

    def test_is_what_the_configuration_says(self, load):
        text = PROJECT + '[destinations.a]\ntype = "fake"\nkey = "kkkk"\n'
        assert load(text).destinations[0].concurrency == 16
        assert load(text + "concurrency = 3").destinations[0].concurrency == 3


class TestTheEnvironment:
    FAKE = PROJECT + '[destinations.a]\ntype = "fake"\nkey = "{}"\nkeys = ["x", "{}"]'

    def key(self, load, text, environ):
        return load(self.FAKE.format(text, text), environ).destinations[0].settings

    def test_gives_its_value_for_a_name_in_any_string(self, load):
        settings = self.key(load, "${CRM_KEY}", {"CRM_KEY": "from outside"})
        assert settings["key"] == "from outside"
        assert settings["keys"] == ["x", "from outside"]

    def test_may_give_a_part_of_it_and_several(self, load):
        settings = self.key(load, "<${A}-${_b2}>", {"A": "1", "_b2": "2"})
        assert settings["key"] == "<1-2>"

    def test_is_not_asked_again_for_what_a_value_contains(self, load):
        settings = self.key(load, "${A}", {"A": "${B}", "B": "no"})
        assert settings["key"] == "${B}"

    def test_is_not_asked_for_a_dollar_or_a_brace_alone(self, load):
        assert self.key(load, "$A {B} $$", {})["key"] == "$A {B} $$"

    def test_must_have_every_name_that_is_used_and_all_that_are_missing_are_named(self, problems):
        assert problems(self.FAKE.format("${ONE}", "${TWO}")) == {
            "destinations.a.key": "${ONE} is not set in the environment",
            "destinations.a.keys.1": "${TWO} is not set in the environment",
        }

    def test_may_give_an_empty_value_which_must_be_allowed_then(self, problems):
        (place,) = problems(self.FAKE.format("${ONE}", ""), {"ONE": ""})
        assert place == "destinations.a.key"

    @pytest.mark.parametrize("text", ["${CRM-KEY}", "${}", "${1A}", "${CRM_KEY", "a${ A }"])
    def test_is_not_mistaken_for_a_literal_when_its_name_is_mistyped(self, problems, text):
        found = problems(self.FAKE.format(text, "x"))
        assert found == {
            "destinations.a.key": "after '${' must come the name of an environment variable and '}'"
        }


CASES = {
    "nothing": ("", {"projects": "is missing; it must be an object"}),
    "no project": ("[projects]", {"projects": "must hold 1 or more members"}),
    "a project without tokens": ("[projects.a]", {"projects.a.tokens": "is missing"}),
    "no token": ("[projects.a]\ntokens = []", {"projects.a.tokens": "must hold 1 or more items"}),
    "a token instead of its digest": (
        '[projects.a]\ntokens = ["abc123"]',
        {"projects.a.tokens.0": "must be 'sha256:' and the 64 hex digits of the token's digest"},
    ),
    "tokens of another type": (
        "[projects.a]\ntokens = 7",
        {"projects.a.tokens": "must be an array; found a number"},
    ),
    "a project with a bad name": (
        f'[projects."a b"]\ntokens = ["{DIGEST}"]',
        {"projects.a b": "the name must match"},
    ),
    "a token of two projects": (
        f'{PROJECT}[projects.blog]\ntokens = ["{OTHER_DIGEST}", "{DIGEST}"]',
        {"projects.blog.tokens.1": "is a token of project 'shop' too; a token decides the project"},
    ),
    "a browser token of another project": (
        f'{PROJECT}[projects.blog]\ntokens = ["{OTHER_DIGEST}"]\nbrowser_tokens = ["{DIGEST}"]',
        {"projects.blog.browser_tokens.0": "is a token of project 'shop' too"},
    ),
    "a token that is secret and public": (
        f'{PROJECT}browser_tokens = ["{DIGEST}"]',
        {"projects.shop.browser_tokens.0": "is in tokens too, which are secret"},
    ),
    "a browser token in clear": (
        f'{PROJECT}browser_tokens = ["abc123"]',
        {"projects.shop.browser_tokens.0": "must be 'sha256:' and the 64 hex digits"},
    ),
    "a project id without origins": (
        f'{PROJECT}[projects.shop.browser]\nproject_id = "p-1"',
        {"projects.shop.browser.origins": "must name an origin"},
    ),
    "a project id of two projects": (
        f"""
        {PROJECT}
        [projects.shop.browser]
        project_id = "p-1"
        origins = ["null"]
        [projects.blog]
        tokens = ["{OTHER_DIGEST}"]
        [projects.blog.browser]
        project_id = "p-1"
        origins = ["null"]
        """,
        {"projects.blog.browser.project_id": "is the project_id of project 'shop' too"},
    ),
    "a rate of nothing": (
        f"{PROJECT}[projects.shop.browser]\nmax_requests_per_second = 0",
        {"projects.shop.browser.max_requests_per_second": "must be 0.1 or more"},
    ),
    "a proxy that is no network": (
        f'{PROJECT}[proxies]\ntrusted = ["10.0.0.0/8", "10.0.0.1/8", "*"]',
        {
            "proxies.trusted.1": "must be an address or a network",
            "proxies.trusted.2": "must be an address or a network",
        },
    ),
    "no origin": (
        f'{PROJECT}[projects.shop.browser]\norigins = ["https://shop.example.com/", "*"]',
        {
            "projects.shop.browser.origins.0": "must be an origin in lower case without a path",
            "projects.shop.browser.origins.1": "must be an origin in lower case without a path",
        },
    ),
    "other names for Segment's events": (
        f'{PROJECT}segment_names = "drop"',
        {"projects.shop.segment_names": 'must be one of "translate", "keep"'},
    ),
    "a destination that is not there": (
        f'{PROJECT}destinations = ["a", "b"]\n[destinations.a]\ntype = "fake"\nkey = "kkkk"',
        {"projects.shop.destinations.1": "is no destination; known: a"},
    ),
    "a destination where there is none": (
        f'{PROJECT}destinations = ["a"]',
        {"projects.shop.destinations.0": "is no destination; known: none"},
    ),
    "an unknown section": (
        f"[stroe]\n{PROJECT}",
        {
            "stroe": "is not known; allowed here: "
            "store, delivery, proxies, reference, projects, destinations"
        },
    ),
    "an unknown setting": (
        f"{PROJECT}[delivery]\nbudget = 1",
        {"delivery.budget": "is not known; allowed here: push_budget_seconds, retry_for_hours"},
    ),
    "a text for a number": (
        f'{PROJECT}[delivery]\nmost_waiting_requests = "4"',
        {"delivery.most_waiting_requests": "must be a whole number; found a string of length 1"},
    ),
    "a boolean for a number": (
        f"{PROJECT}[store]\ndedup_window_hours = true",
        {"store.dedup_window_hours": "must be a number; found a boolean"},
    ),
    "a date for a number": (
        f"{PROJECT}[store]\ndedup_window_hours = 2025-01-01",
        {"store.dedup_window_hours": "must be a number; found a date"},
    ),
    "a number that is too large": (
        f"{PROJECT}[delivery]\npush_budget_seconds = 7.1",
        {"delivery.push_budget_seconds": "must be 7 or less"},
    ),
    "a number that is too small": (
        f"{PROJECT}[store]\ndedup_window_hours = 0.9",
        {"store.dedup_window_hours": "must be 1 or more"},
    ),
    "not a number": (
        f"{PROJECT}[delivery]\npush_budget_seconds = nan",
        {"delivery.push_budget_seconds": "must be a finite number"},
    ),
    "infinity": (
        f"{PROJECT}[delivery]\nretry_for_hours = inf",
        {"delivery.retry_for_hours": "must be a finite number"},
    ),
    "a store of another kind": (
        f'{PROJECT}[store]\nurl = "mysql://x"',
        {"store.url": r"must match ^\(sqlite:///"},
    ),
    "a PostgreSQL store whose address is none": (
        f'{PROJECT}[store]\nurl = "postgresql://[host/"',
        {"store.url": "is no connection string; such as postgresql://user@host/database is"},
    ),
    "a value for a section": (f"store = 1\n{PROJECT}", {"store": "must be an object"}),
    "a value for the destinations": (
        f"destinations = 1\n{PROJECT}",
        {"destinations": "must be an object"},
    ),
    "a value for a destination": (
        f"{PROJECT}[destinations]\na = 1",
        {"destinations.a": "must be an object"},
    ),
    "a destination without a type": (
        f"{PROJECT}[destinations.a]\nkey = 'kkkk'",
        {"destinations.a.type": "is missing; it must be a string"},
    ),
    "a destination of an unknown type": (
        f"{PROJECT}[destinations.a]\ntype = 'fkae'",
        {"destinations.a.type": "is no type of destination; known: .*fake, file, .*webhook"},
    ),
    "a destination without what it needs": (
        f"{PROJECT}[destinations.a]\ntype = 'fake'",
        {"destinations.a.key": "is missing; it must be a string"},
    ),
    "an unknown setting of a destination": (
        f"{PROJECT}[destinations.a]\ntype = 'fake'\nkey = 'kkkk'\nurl = ''",
        {"destinations.a.url": "is not known; allowed here: key, keys, folder, timeout_seconds"},
    ),
    "what the destination itself finds": (
        f"{PROJECT}[destinations.a]\ntype = 'fake'\nkey = 'wrong'",
        {"destinations.a": "key: must not be 'wrong'"},
    ),
    "a destination with a reserved name": (
        f"{PROJECT}[destinations.all]\ntype = 'fake'\nkey = 'kkkk'",
        {"destinations.all": "is a name that `integrations` reserves"},
    ),
    "a reserved name in another case": (
        f"{PROJECT}[destinations.ALL]\ntype = 'fake'\nkey = 'kkkk'",
        {"destinations.ALL": "is a name that `integrations` reserves"},
    ),
    "a destination with a bad name": (
        f"{PROJECT}[destinations.-a]\ntype = 'fake'\nkey = 'kkkk'",
        {"destinations.-a": "the name must match"},
    ),
}


class TestEventTypes:
    PLAN = '{"properties": {"event": {"properties": {"name": {"const": "Booked"}}}}}'

    def test_report_and_allow_unless_the_project_says_otherwise(self, load):
        (project,) = load(PROJECT).projects
        rules = project.event_types
        assert (rules.on_violation, rules.on_unknown, rules.own) == ("report", "allow", ())

    def test_are_read_from_the_files_that_the_project_names(self, load, tmp_path):
        (tmp_path / "plan" / "more").mkdir(parents=True)
        (tmp_path / "plan" / "a.json").write_text(self.PLAN)
        (tmp_path / "plan" / "more" / "b.json").write_text(self.PLAN.replace("Booked", "Met"))
        more = 'event_types = "reject"\nunknown_events = "report"\n'
        for patterns in ('"plan/**/*.json"', f'"{tmp_path}/plan/a.json", "plan/more/../*/b.json"'):
            (project,) = load(f"{PROJECT}{more}schemas = [{patterns}]").projects
            rules = project.event_types
            assert (rules.on_violation, rules.on_unknown) == ("reject", "report")
            assert sorted(each.names for each in rules.own) == [("Booked",), ("Met",)]

    def test_that_cannot_be_served_are_told_with_their_place(self, problems, tmp_path):
        (tmp_path / "a.json").write_text(
            self.PLAN.replace('"const"', '"pattern": "(a+)+", "const"')
        )
        (tmp_path / "b.json").write_text("{")
        found = problems(f'{PROJECT}schemas = ["b.json", "nothing/*.json"]\nevent_types = "no"')
        assert list(found) == [
            "projects.shop.event_types",
            "projects.shop.schemas.1",
            "projects.shop.schemas.0",
        ]
        assert found["projects.shop.schemas.1"] == "matches no file"
        assert found["projects.shop.schemas.0"].startswith(f"{tmp_path / 'b.json'}: cannot be read")
        found = problems(f'{PROJECT}schemas = ["a.json"]')
        assert "/properties/name/pattern: repeats a group" in found["projects.shop.schemas.0"]


class TestProblems:
    @pytest.mark.parametrize("case", CASES)
    def test_are_told_with_their_place_and_what_would_be_right(self, problems, case):
        text, expected = CASES[case]
        found = problems(text)
        assert list(found) == list(expected)
        for place, pattern in expected.items():
            assert re.match(pattern.replace("^", r"\^"), found[place]), found[place]

    def test_are_told_all_at_once(self, problems):
        found = problems(
            f"""
            speed = 11
            [store]
            url = 7
            [delivery]
            most_waiting_requests = 0
            push_budget_seconds = nan
            [projects.shop]
            tokens = ["{DIGEST}"]
            destinations = ["a", "nowhere"]
            [projects.blog]
            tokens = ["{DIGEST}", "abc"]
            [destinations.a]
            type = "fake"
            key = "${{NOT_SET}}"
            timeout_seconds = "long"
            [destinations.b]
            type = "unheard-of"
            [destinations.c]
            type = "fake"
            events = 3
            [destinations.d]
            type = "fake"
            key = "wrong"
            [destinations.e]
            """
        )
        assert set(found) == {
            "speed",
            "store.url",
            "delivery.most_waiting_requests",
            "delivery.push_budget_seconds",
            "projects.shop.destinations.1",
            "projects.blog.tokens.0",
            "projects.blog.tokens.1",
            "destinations.a.key",
            "destinations.a.timeout_seconds",
            "destinations.b.type",
            "destinations.c.events",
            "destinations.c.key",
            "destinations.d",
            "destinations.e.type",
        }

    def test_read_as_a_list_under_the_name_of_the_file(self, load, tmp_path):
        with pytest.raises(ConfigError) as refused:
            load("[projects.a]\n[projects.b]")
        assert str(refused.value) == (
            f"{tmp_path / 'segmentstream.toml'} is not usable:\n"
            "  projects.a.tokens: is missing; it must be an array\n"
            "  projects.b.tokens: is missing; it must be an array"
        )


class TestAFileThatCannotBeRead:
    def refused(self, path):
        with pytest.raises(ConfigError) as refused:
            load_settings(path, environ={}, registry=REGISTRY)
        (problem,) = refused.value.problems
        assert refused.value.source == str(path)
        assert problem.place == "the file"
        return problem.detail

    def test_because_there_is_none_says_how_to_make_one(self, tmp_path):
        detail = self.refused(tmp_path / "segmentstream.toml")
        assert detail == (
            "cannot be read: No such file or directory; `segmentstream-api init` makes one"
        )

    def test_because_it_is_a_folder_says_so(self, tmp_path):
        assert self.refused(tmp_path) == "cannot be read: Is a directory"

    @pytest.mark.parametrize(
        ("content", "detail"),
        [
            (b"[store]\nurl = a'\n", r"is not TOML: .* \(at line 2, column 7\)"),
            (b"[store]\n[store]\n", r"is not TOML: .*\(at line 2, column 7\)"),
            (b"[store]\nurl = '\xff'\n", r"is not UTF-8, at byte 15"),
            (b"x = " + b"9" * 5000, r"is not TOML: .*4300 digits.*"),
            (b"x = " + b"[" * 5000 + b"]" * 5000, r"is not TOML: .*"),
        ],
        ids=["no quotes", "section twice", "not UTF-8", "huge number", "nested too deep"],
    )
    def test_because_it_is_no_toml_says_where(self, tmp_path, content, detail):
        path = tmp_path / "segmentstream.toml"
        path.write_bytes(content)
        assert re.fullmatch(detail, self.refused(path))


CANARY = "canary-4711"
PLACES_FOR_A_SECRET = {
    "where it belongs, beside a mistake": 'type = "fake"\nkey = "{}"\nextra = 1',
    "where it is wrong": 'type = "fake"\nkey = "kkkk"\ntimeout_seconds = "{}"',
    "where it is too long": 'type = "fake"\nkey = ["{}"]',
    "in a list": 'type = "fake"\nkey = "kkkk"\nkeys = ["{}", 7]',
    "under a mistyped name": 'type = "fake"\nkye = "{}"',
    "as the type": 'type = "{}"',
    "as an event name": 'type = "fake"\nkey = "kkkk"\nevents = "{}"',
    "in a string that never ends": 'type = "fake"\nkey = "{}',
    "without quotes": "type = 'fake'\nkey = {}",
    "before garbage": 'type = "fake"\nkey = "{}" oops',
    "with a bad escape": 'type = "fake"\nkey = "\\q{}"',
    "twice": 'type = "fake"\nkey = "{}"\nkey = "{}"',
    "for the webhook": 'type = "webhook"\nurl = "https://u:{}@example.com/"\nsecret = "{}"',
    "in a header": 'type = "webhook"\nurl = "https://example.com/"\nheaders = {A = "{}\\n"}',
    "as a digest": 'type = "fake"\nkey = "kkkk"\n[projects.blog]\ntokens = ["{}"]',
    "as a destination": (
        f'type = "fake"\nkey = "kkkk"\n[projects.b]\ntokens = ["{OTHER_DIGEST}"]'
        '\ndestinations = ["{}"]'
    ),
    "as a store": 'type = "fake"\nkey = "kkkk"\n[store]\nurl = "postgresql://u:{}@[host/"',
}


class TestASecret:
    def shown(self, error):
        everything = "".join(traceback.format_exception(error))
        while error is not None:
            everything += f"{error} {error!r} {vars(error)}"
            error = error.__cause__
        return everything

    @pytest.mark.parametrize("where", PLACES_FOR_A_SECRET)
    def test_in_the_file_shows_in_no_message(self, load, where):
        text = PLACES_FOR_A_SECRET[where].replace("{}", CANARY)
        with pytest.raises(ConfigError) as refused:
            load(f"{PROJECT}[destinations.a]\n{text}")
        assert CANARY not in self.shown(refused.value)

    @pytest.mark.parametrize("where", PLACES_FOR_A_SECRET)
    def test_in_the_environment_shows_in_no_message(self, load, where):
        text = PLACES_FOR_A_SECRET[where].replace("{}", "${SECRET}")
        with pytest.raises(ConfigError) as refused:
            load(f"{PROJECT}[destinations.a]\n{text}", {"SECRET": CANARY, "OTHER": CANARY})
        assert CANARY not in self.shown(refused.value)

    def test_in_bytes_that_are_not_utf_8_shows_in_no_message(self, tmp_path):
        path = tmp_path / "segmentstream.toml"
        path.write_bytes(f'key = "{CANARY}'.encode() + b"\xff")
        with pytest.raises(ConfigError) as refused:
            load_settings(path, environ={}, registry=REGISTRY)
        assert CANARY not in self.shown(refused.value)

    def test_shows_in_no_repr_of_the_settings(self, load):
        settings = load(
            f"""
            {PROJECT}
            [destinations.a]
            type = "fake"
            key = "{CANARY}"
            keys = ["{CANARY}"]
            [destinations.b]
            type = "webhook"
            url = "https://example.com/{CANARY}"
            headers = {{ Authorization = "{CANARY}" }}
            """
        )
        assert CANARY not in repr(settings)
        assert DIGEST not in repr(settings)
        assert all(CANARY not in repr(each.build()) for each in settings.destinations)


def described(schema, place=()):
    """Every setting of a schema: its place, and its own schema."""
    for name, sub in schema.get("properties", {}).items():
        yield (*place, name), sub
        yield from described(sub, (*place, name))
    more = schema.get("additionalProperties")
    if isinstance(more, dict):
        yield from described(more, (*place, "*"))


SETTINGS = {".".join(place): schema for place, schema in described(load_schema("config.json"))}


class TestTheSchema:
    def test_is_one(self):
        Draft202012Validator.check_schema(load_schema("config.json"))

    def test_covers_what_can_be_set(self):
        assert {"store.url", "destinations.*.concurrency", "projects.*.tokens"} <= SETTINGS.keys()

    @pytest.mark.parametrize("setting", SETTINGS)
    def test_describes_every_setting_in_a_sentence(self, setting):
        assert SETTINGS[setting].get("description", "").endswith(".")

    @pytest.mark.parametrize("setting", SETTINGS)
    def test_has_defaults_and_examples_that_are_allowed(self, setting):
        schema = SETTINGS[setting]
        given = [schema["default"]] if "default" in schema else []
        for value in [*given, *schema.get("examples", [])]:
            Draft202012Validator(schema).validate(value)

    def test_has_every_setting_in_the_documentation(self):
        text = (DOCS / "configuration.md").read_text("utf-8")
        assert [name for name in SETTINGS if f"`{name.rpartition('.')[2]}`" not in text] == []


def test_a_byte_order_mark_is_skipped(load):
    assert [project.name for project in load("\ufeff" + PROJECT).projects] == ["shop"]
