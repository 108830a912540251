"""Password hashes that other systems made, as they stand in their databases and exports."""

from __future__ import annotations

# With a decomposed ë and letters beyond ASCII: a system that hashes the bytes as they come tells it from "Zoë".
PASSWORD = "Grüße, Zoe\u0308!"
OTHER_FORM = "Grüße, Zo\u00eb!"

# Made with Django 5.2.19, `make_password` with each of its hashers, at its own costs.
DJANGO = {
    "django pbkdf2_sha256": "pbkdf2_sha256$1000000$BfIhGAaueBg0jnvgPViZnP$wp3tEHCu4AC9OkuhBz+yAaJdSZAPIm43eFzd830lnzo=",
    "django pbkdf2_sha1": "pbkdf2_sha1$1000000$wB24CDAwH7isPqwHPfgvG2$I2jBNEslUg4I1zIrbWbljexU5+M=",
    "django argon2": (
        "argon2$argon2id$v=19$m=102400,t=2,p=8$alpiUmg2RmlqVXVaMXhmN3cyTlJhVg$in281rha5w6sQcnmMAHFl0uLB0iaMHR"
        "El0Y2w5GeTzU"
    ),
    "django bcrypt_sha256": "bcrypt_sha256$$2b$12$S1vVFUUAhTXDRPQnnkCKj.ja/0HKj9cjOlHCAeYjZ5hVJOlcxTUhC",
    "django bcrypt": "bcrypt$$2b$12$HbUKi829sv0gjfvyFhJAyezjcATNv3GOCl/Prz8vkV.lf7AVfe6Ze",
    "django scrypt": (
        "scrypt$16384$HJ6lMENzWwCfGYz3387AO5$8$5$dWN8V1L1bdcq9zJDoZVYZAsbS/AFlkqMrrPPnLqeVgidr8WLZrLSZ4TeR0b6"
        "ezdCib21vzZHWN3yj+c9SNR6Qg=="
    ),
}
# The same, with the attributes of the hashers that bear the cost set low.
CHEAP_DJANGO = {
    "django pbkdf2_sha256": "pbkdf2_sha256$1000$LszOQ2lgfv15S68qbugb4E$MnhMxlnGvdktD7hmASXWr4jtOVZ4DlmqhEQZx4cUnvE=",
    "django pbkdf2_sha1": "pbkdf2_sha1$1000$L08BQUTTV0IxuT5QJRy5bJ$3vRfVGlFQr4OScKwDnMd2QcIAbg=",
    "django argon2": (
        "argon2$argon2id$v=19$m=64,t=1,p=2$bWxYSEV0VzVWcnRiRW1nd1FPRnVNQw$QDKk3qZ2BEL+B8ynNz99TNS/EpA0VgOvi4qb6NPA7Jc"
    ),
    "django bcrypt_sha256": "bcrypt_sha256$$2b$04$sejG7joJQ1VxKp4G8nMjROyM.RUJPVJLeNqdcaDor.2jXuBdYle5K",
    "django bcrypt": "bcrypt$$2b$04$wlGkoC3PKBHgcML70qJMTunutjcPKMhErNPUxqkq6yAX.St4ubhMO",
    "django scrypt": (
        "scrypt$16$tN7uYWKl9zGLrF6vcw4DnI$8$5$XObAUcIjAePnzCcgLgNkylLvqhDQQi4BbEzM3JdDwe9lldeyYnkaQB0BWoZzP3J"
        "wTX6+g6BpTr57jAy9pkJCtQ=="
    ),
}
# Made with argon2-cffi 25.1.0, `PasswordHasher(type=…, time_cost=2, memory_cost=128, parallelism=2)`.
ARGON2 = {
    "argon2id": "$argon2id$v=19$m=128,t=2,p=2$6bPsZ7ceFANDQ54Vp1uUiA$j3qgARxBYl1IHSVvXUC6XLUtzpcbxLTG2q0VPDDGRpM",
    "argon2i": "$argon2i$v=19$m=128,t=2,p=2$cuOPuInGc+N6HiYYxC+Vqg$UvJU17qEWccAVm8QMNn94R0e2DhkYMl2dXxftexIChI",
    "argon2d": "$argon2d$v=19$m=128,t=2,p=2$WUWVOj479r5IlnW+UPN57g$Wm1V+qQeIDFG971eKmSG+FdkVTaaXfW8OcsjWnoctM8",
}
# Made with passlib 1.7.4, which many have in use; the first version of bcrypt_sha256 with libpass 1.9.4.
PASSLIB = {
    "pbkdf2": "$pbkdf2$1000$QgghBCBEiNEaA2Asxfjf2w$UMBsGmIj.4JpLq6qYMw5R/muxo4",
    "pbkdf2-sha256": "$pbkdf2-sha256$1000$rhXi3PufUwrB.J.TEqIUwg$Go3MepiW8hSv/tcvAcpTZwDdXZCM1selXz/KaFisXRE",
    "pbkdf2-sha512": (
        "$pbkdf2-sha512$1000$xzjnfA/hvFfqfc9ZK8U4Bw"
        "$DDgGg3tlj2NgPi4UhjUcUjwiFu9NI3Oxkdi0e87SbABwtHWmsqAMv6KOQ6SsgVSJceBokNcOVqLhZ0KnI1D6Bw"
    ),
    "scrypt": "$scrypt$ln=4,r=8,p=1$BoBQ6h0jhNC6N2ZMydnbmw$HIDo20utcmGt+A1f62mLnHFBXxPqJ5O5s8HIagc3d3s",
    "bcrypt_sha256 v1": "$bcrypt-sha256$2b,4$qFpO59pKhJn7HnjXA.xFMO$s.zl9/yZSGpXGbtOS9UgUydMp3Y9GYC",
}
CHEAP = CHEAP_DJANGO | ARGON2 | PASSLIB

# The example that Firebase publishes with its scrypt (github.com/firebase/scrypt, README).
FIREBASE_SIGNER_KEY = "jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA=="
FIREBASE_SALT_SEPARATOR = "Bw=="
FIREBASE_ROUNDS = 8
FIREBASE_MEM_COST = 14
FIREBASE_SALT = "42xEC+ixf3L2lw=="
FIREBASE_HASH = "lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ=="
FIREBASE_PASSWORD = "user1password"
# As the project's settings show them.
FIREBASE_HASH_CONFIG = f"""hash_config {{
  algorithm: SCRYPT,
  base64_signer_key: {FIREBASE_SIGNER_KEY},
  base64_salt_separator: {FIREBASE_SALT_SEPARATOR},
  rounds: {FIREBASE_ROUNDS},
  mem_cost: {FIREBASE_MEM_COST},
}}
"""
