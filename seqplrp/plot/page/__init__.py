"""Reports as one HTML file each: nothing is loaded from anywhere, and nothing in them can act but their own script."""

from __future__ import annotations

from seqplrp.plot.page.tables import (
    Explorer,
    PageBlock,
    PageHeading,
    PageList,
    PagePicture,
    PageTable,
    PageText,
    TablesPage,
)
from seqplrp.plot.page.tracks import (
    ACCOUNT_COLUMNS,
    DARK_BASE_COLOURS,
    AccountPattern,
    PageAccounts,
    PageCheck,
    PageColumn,
    PageLane,
    PageMark,
    PagePlaces,
    PageTrack,
    TracksPage,
)

__all__ = [
    "ACCOUNT_COLUMNS",
    "DARK_BASE_COLOURS",
    "AccountPattern",
    "Explorer",
    "PageAccounts",
    "PageBlock",
    "PageCheck",
    "PageColumn",
    "PageHeading",
    "PageLane",
    "PageList",
    "PageMark",
    "PagePicture",
    "PagePlaces",
    "PageTable",
    "PageText",
    "PageTrack",
    "TablesPage",
    "TracksPage",
]
