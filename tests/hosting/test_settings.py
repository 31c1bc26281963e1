import pytest

from duplexio.errors import UsageError
from duplexio.hosting import Settings


def test_defaults():
    settings = Settings.from_environ({})
    assert settings == Settings()
    assert settings.legacy is False
    assert settings.head_timeout == 30.0
    assert settings.max_head_size == 65_536
    assert settings.close_timeout == 10.0


def test_what_is_written_is_read():
    settings = Settings(legacy=True, head_timeout=1.5, max_head_size=4096, close_timeout=0.0)
    environ = {"OTHER": "x"}
    settings.to_environ(environ)
    assert Settings.from_environ(environ) == settings


@pytest.mark.parametrize("text", ["1", "true", "Yes", " on "])
def test_on(text):
    assert Settings.from_environ({"DUPLEXIO_LEGACY": text}).legacy is True


@pytest.mark.parametrize("text", ["0", "false", "No", ""])
def test_off(text):
    assert Settings.from_environ({"DUPLEXIO_LEGACY": text}).legacy is False


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("DUPLEXIO_LEGACY", "maybe"),
        ("DUPLEXIO_HEAD_TIMEOUT", "soon"),
        ("DUPLEXIO_HEAD_TIMEOUT", "-1"),
        ("DUPLEXIO_HEAD_TIMEOUT", "nan"),
        ("DUPLEXIO_MAX_HEAD_SIZE", "1.5"),
    ],
)
def test_mistakes_name_the_variable(variable, text):
    with pytest.raises(UsageError, match=f"{variable} is '{text}'; expected"):
        Settings.from_environ({variable: text})


def test_the_environment_of_the_process_is_the_default(monkeypatch):
    monkeypatch.setenv("DUPLEXIO_LEGACY", "1")
    assert Settings.from_environ().legacy is True
