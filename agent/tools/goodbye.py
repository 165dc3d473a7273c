"""Ending the conversation when the user says goodbye."""

from __future__ import annotations

from agent.tools.tool import ToolContext, tool


@tool(effect="changes", name="end_conversation")
def goodbye(conversation: ToolContext) -> str:
    """End this conversation. Only when the user says goodbye or asks to hang up."""
    conversation.end()
    return "The conversation ends after your next words. Say goodbye in a few words."
