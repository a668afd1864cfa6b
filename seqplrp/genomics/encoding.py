"""DNA text, integer codes and one-hot tensors, and the ways between them.

Codes are ``A=0, C=1, G=2, T=3, N=4``; a one-hot column of N is all zeros. Lower case is read as upper case
and U as T; every other letter is an error, because a silently dropped letter would shift an explanation.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from seqplrp.errors import SeqplrpError

ALPHABET = "ACGT"
UNKNOWN = 4  # the code of N
_INVALID = 255
_LETTERS = np.frombuffer(b"ACGTN", dtype=np.uint8)


def _letter_codes() -> npt.NDArray[np.uint8]:
    table = np.full(256, _INVALID, dtype=np.uint8)
    for code, letters in enumerate(("Aa", "Cc", "Gg", "TtUu", "Nn")):
        for letter in letters:
            table[ord(letter)] = code
    return table


_CODE_OF = _letter_codes()


def encode(sequences: Sequence[str] | str) -> npt.NDArray[np.uint8]:
    """Turn DNA text into integer codes.

    Parameters
    ----------
    sequences : str or sequence of str
        DNA of one common length; letters ``ACGTUN`` of either case. A single string is a batch of one.

    Returns
    -------
    ndarray of uint8, shape (N, L)
        Codes 0..3 for A, C, G, T and 4 for N.

    Raises
    ------
    SeqplrpError
        If there is no sequence, an empty one, one of another length, or a letter outside ``ACGTUN``.
    """
    batch = [sequences] if isinstance(sequences, str) else list(sequences)
    _check_texts(batch)
    # "replace" keeps one byte a character, so that lengths hold and the table below rejects the letter
    raw = np.frombuffer("".join(batch).encode("ascii", "replace"), dtype=np.uint8)
    codes = _CODE_OF[raw].reshape(len(batch), len(batch[0]))
    if codes.max() == _INVALID:
        row, column = np.argwhere(codes == _INVALID)[0]
        raise SeqplrpError(
            f"sequences[{row}]",
            f"letter {batch[row][column]!r} at position {column} (counted from 0) is not one of ACGTUN",
            "replace it, by N where the base is unknown",
        )
    return codes


def _check_texts(batch: list[str]) -> None:
    if not batch:
        raise SeqplrpError("sequences", "there is no sequence", "give at least one")
    for row, text in enumerate(batch):
        if not isinstance(text, str):
            raise SeqplrpError(f"sequences[{row}]", f"is {type(text).__name__}, not text", "give DNA as str")
        if not text:
            raise SeqplrpError(f"sequences[{row}]", "is empty", "leave it out or give its letters")
        if len(text) != len(batch[0]):
            raise SeqplrpError(
                f"sequences[{row}]",
                f"has length {len(text)} where sequences[0] has {len(batch[0])}",
                "give sequences of one length (trim, pad with N, or encode each length by itself)",
            )


def check_codes(codes: npt.ArrayLike, *, where: str = "codes") -> npt.NDArray[np.uint8]:
    """Return `codes` as an (N, L) uint8 array of values 0..4, or raise the error that says what they are."""
    array = np.asarray(codes)
    if array.ndim != 2:
        raise SeqplrpError(where, f"has shape {array.shape}, not (N, L)", "give a batch of sequences, as encode() does")
    if array.dtype.kind not in "ui":
        raise SeqplrpError(where, f"has dtype {array.dtype}, not an integer type", "give codes, as encode() does")
    if array.size and (array.max() > UNKNOWN or array.min() < 0):
        worst = array.max() if array.max() > UNKNOWN else array.min()
        raise SeqplrpError(where, f"holds {worst}, not a code of 0..4", "give codes, as encode() does")
    return array.astype(np.uint8, copy=False)


def codes_to_one_hot(codes: npt.ArrayLike, dtype: torch.dtype = torch.float32) -> Tensor:
    """Turn (N, L) codes into a one-hot tensor of shape (N, 4, L); N becomes an all-zero column."""
    checked = torch.from_numpy(np.array(check_codes(codes)))  # a copy: torch rejects read-only arrays
    letters = torch.arange(4, dtype=torch.uint8)
    return (checked[:, None, :] == letters[None, :, None]).to(dtype)


def codes_to_strings(codes: npt.ArrayLike) -> list[str]:
    """Turn (N, L) codes into N upper-case strings over ``ACGTN``."""
    checked = check_codes(codes)
    length = checked.shape[1]
    text = _LETTERS[checked].tobytes().decode("ascii")
    return [text[row * length : (row + 1) * length] for row in range(len(checked))]


def one_hot(sequences: Sequence[str] | str, *, dtype: torch.dtype = torch.float32) -> Tensor:
    """Turn DNA text into a one-hot tensor.

    Parameters
    ----------
    sequences : str or sequence of str
        DNA of one common length, as `encode` takes it.
    dtype : torch.dtype
        Type of the result.

    Returns
    -------
    Tensor, shape (N, 4, L)
        Rows A, C, G, T; an all-zero column where the letter is N.

    Raises
    ------
    SeqplrpError
        As `encode` does.
    """
    return codes_to_one_hot(encode(sequences), dtype)


def decode(X: Tensor) -> list[str]:
    """Turn a one-hot tensor (N, 4, L) back into N strings over ``ACGTN``.

    Raises
    ------
    SeqplrpError
        If a column is neither one-hot nor all zero: a letter guessed from a mixture would be a lie.
    """
    _check_channels(X)
    proper = ((X == 0) | (X == 1)).all(dim=1) & (X.sum(dim=1) <= 1)
    if not bool(proper.all()):
        row, column = (int(i) for i in torch.nonzero(~proper)[0])
        raise SeqplrpError(
            f"X[{row}, :, {column}]",
            f"is {X[row, :, column].tolist()}, neither one-hot nor all zero",
            "decode one-hot DNA only, not relevance or probabilities",
        )
    codes = torch.where(X.sum(dim=1) == 1, X.argmax(dim=1), UNKNOWN)
    return codes_to_strings(codes.to(torch.uint8).cpu().numpy())


def reverse_complement(X: Tensor) -> Tensor:
    """Return the opposite strand of (N, 4, L): the order A, C, G, T makes it a flip of both axes."""
    _check_channels(X)
    return X.flip(1, 2)


def _check_channels(X: Tensor) -> None:
    if X.ndim != 3 or X.shape[1] != 4:
        raise SeqplrpError("X", f"has shape {tuple(X.shape)}, not (N, 4, L)", "give a batch, as one_hot() makes it")
