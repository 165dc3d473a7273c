"""docs/server.md tells every limit of the server, with the default that is in force."""

from pathlib import Path

from agent.settings import ServerConfig

NOT_LIMITS = {
    "host",
    "port",
    "grpc_port",
    "wyoming",
    "wyoming_clients",
    "announce",
    "satellites",
    "one_user",
    "copies",
    "token_env",
    "token_file",
    "certificate",
    "key",
    "origins",
    "proxies",
    "ice_servers",
    "lead",
    "model_aliases",
    "voice_aliases",
    "drain_timeout",
    "traces",
}
PAGE = Path(__file__).parents[1] / "docs" / "server.md"


def test_every_limit_of_the_server_is_told_with_its_default() -> None:
    rows = {
        cells[0].strip(): cells[1].strip()
        for line in PAGE.read_text(encoding="utf-8").splitlines()
        if line.startswith("| `server.") and (cells := line.strip("|").split("|"))
    }
    wanted = {
        f"`server.{name}`": f"{field.default:g}" if isinstance(field.default, float) else str(field.default)
        for name, field in ServerConfig.model_fields.items()
        if name not in NOT_LIMITS
    }
    assert rows == wanted
