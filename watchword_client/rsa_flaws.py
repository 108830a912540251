"""Finds RSA keys that look normal, but whose private key anybody can compute."""

from __future__ import annotations

from math import isqrt

# Infineon's library made primes that are powers of 65537 modulo the product of the first primes (CVE-2017-15361, ROCA).
# So the modulus is a power of 65537 modulo each of the first primes. The list has primes with few such powers. This is
# the fingerprint of Nemec, Sys, Svenda, Klinec and Matyas, 2017. One in 2^27 other keys has it by chance.
_GENERATOR = 65537
_FINGERPRINT = (11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157)
# If the two primes are very close to each other, Fermat's method finds them within so many steps (CVE-2022-26320).
_FERMAT_STEPS = 100


def factoring_flaw(modulus: int) -> str | None:
    """The flaw by which the modulus can be factored, in words; None if it has no known flaw. Takes less than 2 ms."""
    if all(pow(modulus, _order(prime), prime) == 1 for prime in _FINGERPRINT):
        return "it was made by a faulty chip, as CVE-2017-15361 (ROCA) tells"
    middle = isqrt(modulus - 1) + 1
    for step in range(_FERMAT_STEPS):
        square = (middle + step) ** 2 - modulus
        if isqrt(square) ** 2 == square:
            return "its primes are close to each other (CVE-2022-26320)"
    return None


def _order(prime: int) -> int:
    """The order of the generator modulo a prime. A number is a power of the generator if number ** order is 1."""
    count, power = 1, _GENERATOR % prime
    while power != 1:
        count, power = count + 1, power * _GENERATOR % prime
    return count
