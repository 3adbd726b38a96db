// libsodium as it is. `Primitive` in TunnelCore and `SecretBytes` in Keys give it Swift's types.
#include <sodium.h>
