"""Recipes that a client offers its user: an incident report, the check of the day."""

from __future__ import annotations

from typing import Any

from mcp.server.mcpserver import MCPServer

RULES = (
    "Use only figures that the tools returned, with their units and the time they speak of; say so where there is no "
    "data. Give the PromQL from `evidence.query` beside each figure. Write in the user's language."
)


def add_prompts(server: MCPServer[Any]) -> None:
    """Adds `incident_report(server, window)` and `daily_check()`."""

    @server.prompt(description="What happened on one server: timeline, causes, what to check next.")
    def incident_report(server: str, window: str = "1h") -> str:
        return (
            f"Write an incident report for server {server!r} over {window}.\n"
            f"1. get_server(server={server!r}): its state now.\n"
            f"2. list_alerts(state='all', window={window!r}): what fired, when.\n"
            f"3. find_anomalies(servers=[{server!r}], window={window!r}): what departed from its habit first.\n"
            f"4. For the strongest: query_metric(metric, servers=[{server!r}], window={window!r}) and "
            f"correlate(server={server!r}, metric, window={window!r}).\n"
            f"Report: summary, timeline (UTC), likely cause and how sure, impact, what to check next. {RULES}"
        )

    @server.prompt(description="The state of the fleet today and what needs attention.")
    def daily_check() -> str:
        return (
            "Check the fleet.\n"
            "1. fleet_summary(). 2. list_alerts(state='all', window='24h'). 3. find_anomalies(window='24h').\n"
            "4. forecast_metric(metric='disk', horizon='7d'): what fills up soon.\n"
            f"Report: one line of overall state, what needs attention now, what will soon, what is fine. {RULES}"
        )
