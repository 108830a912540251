"""FastAPI with PyJWT, as its documentation shows bearer tokens: HS256, users in memory, a form to log in."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any

import jwt
from fastapi import Depends, FastAPI, HTTPException, Response
from fastapi.security import OAuth2PasswordBearer, OAuth2PasswordRequestForm
from pwdlib import PasswordHash
from pwdlib.hashers.bcrypt import BcryptHasher
from pydantic import BaseModel

from tests.bench.peers.serving import serve

ISSUER = "my-api"
SECRET = "a secret for measuring that nothing else has"
TOKEN_SECONDS = 86_400


class User(BaseModel):
    id: str
    username: str
    name: str
    role: str
    disabled: bool
    created_at: datetime
    updated_at: datetime
    last_login_at: datetime


class UserAnswer(BaseModel):
    user: User


class Token(BaseModel):
    access_token: str
    token_type: str


class Claims(BaseModel):
    sub: str
    username: str
    role: str


_NOW = datetime.now(UTC)
ADMIN = User(
    id=str(uuid.uuid4()),
    username="admin",
    name="Administrator",
    role="admin",
    disabled=False,
    created_at=_NOW,
    updated_at=_NOW,
    last_login_at=_NOW,
)
USERS = {ADMIN.id: ADMIN}

app = FastAPI()
password_hash = PasswordHash((BcryptHasher(rounds=int(os.environ["PEER_BCRYPT_COST"])),))
hashed = password_hash.hash(os.environ["PEER_PASSWORD"])
bearer = OAuth2PasswordBearer(tokenUrl="login")


async def claims_of(token: Annotated[str, Depends(bearer)]) -> Claims:
    try:
        return Claims(**jwt.decode(token, SECRET, algorithms=["HS256"], issuer=ISSUER, audience=ISSUER))
    except jwt.InvalidTokenError as error:
        raise HTTPException(401, "invalid token", {"WWW-Authenticate": "Bearer"}) from error


def require(*roles: str) -> Callable[[Claims], Any]:
    async def decide(claims: Annotated[Claims, Depends(claims_of)]) -> Claims:
        if claims.role not in roles:
            raise HTTPException(403, "insufficient role")
        return claims

    return decide


@app.get("/verify")
async def verify(claims: Annotated[Claims, Depends(require("customer", "admin"))]) -> Response:
    headers = {
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "X-Auth-Subject": claims.sub,
        "X-Auth-Username": claims.username,
        "X-Auth-Role": claims.role,
    }
    return Response(status_code=204, headers=headers)


@app.get("/users/{user_id}", dependencies=[Depends(require("admin"))])
async def user(user_id: str) -> UserAnswer:
    found = USERS.get(user_id)
    if found is None:
        raise HTTPException(404, "not found")
    return UserAnswer(user=found)


@app.post("/login")
def login(form: Annotated[OAuth2PasswordRequestForm, Depends()]) -> Token:
    """No coroutine, so the hash is made in a thread."""
    if form.username != ADMIN.username or not password_hash.verify(form.password, hashed):
        raise HTTPException(401, "wrong username or password", {"WWW-Authenticate": "Bearer"})
    now = int(time.time())
    claims = {
        "iss": ISSUER,
        "aud": ISSUER,
        "sub": ADMIN.id,
        "username": ADMIN.username,
        "role": ADMIN.role,
        "jti": str(uuid.uuid4()),
        "iat": now,
        "exp": now + TOKEN_SECONDS,
    }
    return Token(access_token=jwt.encode(claims, SECRET, "HS256"), token_type="bearer")


if __name__ == "__main__":
    serve(app)
