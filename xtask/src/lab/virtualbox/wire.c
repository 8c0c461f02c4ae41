/* The wire of one internal network. Without its driver VirtualBox joins no cards, but it sends the frames of a card to a UDP port: what
   comes from one card goes on to all others. Ends when no machine runs any more. $1: the port; $2: a file with the ports of the cards,
   which grows while machines are started. */
#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#define CARDS 64

static int machines_run(void) {
    DIR *all = opendir("/proc");
    struct dirent *entry;
    int found = 0;
    while (all && !found && (entry = readdir(all))) {
        char path[300], name[32] = "";
        if (!isdigit(entry->d_name[0])) continue;
        snprintf(path, sizeof path, "/proc/%s/comm", entry->d_name);
        FILE *file = fopen(path, "r");
        if (!file) continue;
        if (fgets(name, sizeof name, file)) found = !strncmp(name, "VirtualBoxVM", 12);
        fclose(file);
    }
    if (all) closedir(all);
    return found;
}

static int read_cards(const char *path, struct sockaddr_in *cards) {
    FILE *file = fopen(path, "r");
    int known = 0, port;
    while (file && known < CARDS && fscanf(file, "%d", &port) == 1) {
        cards[known] = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(port) };
        cards[known++].sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    }
    if (file) fclose(file);
    return known;
}

int main(int count, char **words) {
    static char frame[65536];
    struct sockaddr_in own = { .sin_family = AF_INET }, cards[CARDS], from;
    struct timeval patience = { .tv_sec = 5 };
    int known = 0, wire = socket(AF_INET, SOCK_DGRAM, 0);
    if (count != 3) return 2;
    own.sin_port = htons(atoi(words[1]));
    own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    /* Somebody else is the wire already. */
    if (bind(wire, (struct sockaddr *)&own, sizeof own)) return 0;
    setsockopt(wire, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    do {
        socklen_t length = sizeof from;
        ssize_t size;
        while ((size = recvfrom(wire, frame, sizeof frame, 0, (struct sockaddr *)&from, &length)) >= 0) {
            /* Everybody is asked for an address before they are spoken with. */
            if (frame[0] & 1) known = read_cards(words[2], cards);
            for (int card = 0; card < known; card++)
                if (cards[card].sin_port != from.sin_port)
                    sendto(wire, frame, size, 0, (struct sockaddr *)&cards[card], sizeof own);
            length = sizeof from;
        }
    } while (machines_run());
    return 0;
}
