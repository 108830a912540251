"""fastapi-users with its JWT strategy and users in SQLite by SQLAlchemy, put together as its documentation shows.

Its own routes are used where it has them: the login and `GET /users/{id}`. It reads the caller from the database at
every request.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Response
from fastapi_users import BaseUserManager, FastAPIUsers, UUIDIDMixin, schemas
from fastapi_users.authentication import AuthenticationBackend, BearerTransport, JWTStrategy
from fastapi_users.password import PasswordHelper
from fastapi_users_db_sqlalchemy import SQLAlchemyBaseUserTableUUID, SQLAlchemyUserDatabase
from pwdlib import PasswordHash
from pwdlib.hashers.bcrypt import BcryptHasher
from sqlalchemy import String
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from tests.bench.peers.serving import serve

EMAIL = "admin@example.com"
SECRET = "a secret for measuring that nothing else has"
TOKEN_SECONDS = 86_400

engine = create_async_engine(f"sqlite+aiosqlite:///{os.environ['PEER_DATABASE']}")
open_session = async_sessionmaker(engine, expire_on_commit=False)
passwords = PasswordHelper(PasswordHash((BcryptHasher(rounds=int(os.environ["PEER_BCRYPT_COST"])),)))


class Base(DeclarativeBase):
    pass


class User(SQLAlchemyBaseUserTableUUID, Base):
    role: Mapped[str] = mapped_column(String(32))


class UserRead(schemas.BaseUser[uuid.UUID]):
    role: str


class UserUpdate(schemas.BaseUserUpdate):
    pass


class UserManager(UUIDIDMixin, BaseUserManager[User, uuid.UUID]):
    reset_password_token_secret = SECRET
    verification_token_secret = SECRET


async def session() -> AsyncIterator[AsyncSession]:
    async with open_session() as opened:
        yield opened


async def user_database(
    opened: Annotated[AsyncSession, Depends(session)],
) -> AsyncIterator[SQLAlchemyUserDatabase[User, uuid.UUID]]:
    yield SQLAlchemyUserDatabase(opened, User)


async def user_manager(
    database: Annotated[SQLAlchemyUserDatabase[User, uuid.UUID], Depends(user_database)],
) -> AsyncIterator[UserManager]:
    yield UserManager(database, passwords)


def strategy() -> JWTStrategy[User, uuid.UUID]:
    return JWTStrategy(SECRET, TOKEN_SECONDS)


backend = AuthenticationBackend("jwt", BearerTransport("login"), strategy)
users = FastAPIUsers[User, uuid.UUID](user_manager, [backend])


@asynccontextmanager
async def making_user(_: FastAPI) -> AsyncIterator[None]:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with open_session() as opened:
        hashed = passwords.hash(os.environ["PEER_PASSWORD"])
        opened.add(User(email=EMAIL, hashed_password=hashed, is_superuser=True, is_verified=True, role="admin"))
        await opened.commit()
    yield


app = FastAPI(lifespan=making_user)
app.include_router(users.get_auth_router(backend))
app.include_router(users.get_users_router(UserRead, UserUpdate), prefix="/users")


@app.get("/verify")
async def verify(user: Annotated[User, Depends(users.current_user(active=True))]) -> Response:
    if user.role not in {"customer", "admin"}:
        raise HTTPException(403, "insufficient role")
    headers = {
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "X-Auth-Subject": str(user.id),
        "X-Auth-Username": user.email,
        "X-Auth-Role": user.role,
    }
    return Response(status_code=204, headers=headers)


if __name__ == "__main__":
    serve(app)
