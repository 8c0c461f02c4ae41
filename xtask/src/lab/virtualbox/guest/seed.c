/* Credits 64 bytes of the host's randomness to the kernel, which has no source of its own here: the SSH server would wait for it. */
#include <linux/random.h>
#include <sys/ioctl.h>
#include <fcntl.h>
#include <unistd.h>
int main(void) {
    struct { int bits, length; unsigned char bytes[64]; } seed = { 512, 64 };
    int from = open("/etc/seed", O_RDONLY), to = open("/dev/urandom", O_WRONLY);
    return read(from, seed.bytes, 64) != 64 || ioctl(to, RNDADDENTROPY, &seed) < 0;
}
