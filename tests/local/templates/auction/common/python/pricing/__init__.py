"""What a layer brings along."""


def price(amount: int, currency: str) -> str:
    return f"{amount} {currency}"
