/* High card: two players, one card each, over UDP. It knows nothing of who started it.
 *
 * server PORT [ADDRESS]     ADDRESS is what it listens on, 127.0.0.1 by default
 *
 * A player sends any datagram, again and again until it hears the end, as UDP may lose both ways:
 *   "card 7\n"          his card; the other player is not there yet
 *   "won 7 4\n", "lost 4 7\n", "draw 7 7\n"    his card and the other's
 *   "full\n"            to a third one
 * The game is over, exit code 0, a second after both have heard the end, or when nobody said anything for a minute.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { SEATS = 2, CARDS = 13, SILENT_MS = 60000, LINGER_MS = 1000 };

struct player {
    struct sockaddr_in at;
    int card, told;
};

static int seat_of(const struct sockaddr_in *at, struct player *players, int *seated) {
    for (int i = 0; i < *seated; i++)
        if (players[i].at.sin_port == at->sin_port && players[i].at.sin_addr.s_addr == at->sin_addr.s_addr) return i;
    if (*seated == SEATS) return -1;
    players[*seated] = (struct player){.at = *at, .card = 1 + rand() % CARDS, .told = 0};
    return (*seated)++;
}

static int answer(char *text, size_t size, struct player *players, int seated, int seat) {
    if (seat < 0) return snprintf(text, size, "full\n");
    int mine = players[seat].card;
    if (seated < SEATS) return snprintf(text, size, "card %d\n", mine);
    int other = players[1 - seat].card;
    players[seat].told = 1;
    return snprintf(text, size, "%s %d %d\n", mine > other ? "won" : mine < other ? "lost" : "draw", mine, other);
}

int main(int argc, char **argv) {
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(argc > 1 ? atoi(argv[1]) : 0)};
    if (argc < 2 || inet_pton(AF_INET, argc > 2 ? argv[2] : "127.0.0.1", &here.sin_addr) != 1) {
        fprintf(stderr, "usage: %s PORT [ADDRESS]\n", argv[0]);
        return 2;
    }
    int udp = socket(AF_INET, SOCK_DGRAM, 0);
    if (udp < 0 || bind(udp, (struct sockaddr *)&here, sizeof here) < 0) {
        perror("the port cannot be opened");
        return 1;
    }
    srand((unsigned)time(NULL) ^ (unsigned)getpid());
    printf("dealing on udp %s\n", argv[1]);
    fflush(stdout); /* what goes into a pipe is kept back otherwise, and nobody would know that we are ready */

    struct player players[SEATS] = {0};
    struct pollfd heard = {.fd = udp, .events = POLLIN};
    int seated = 0;
    while (poll(&heard, 1, seated == SEATS && players[0].told && players[1].told ? LINGER_MS : SILENT_MS) > 0) {
        struct sockaddr_in from;
        socklen_t length = sizeof from;
        char text[64];
        if (recvfrom(udp, text, sizeof text, 0, (struct sockaddr *)&from, &length) < 0) continue;
        int seat = seat_of(&from, players, &seated);
        int size = answer(text, sizeof text, players, seated, seat);
        sendto(udp, text, (size_t)size, 0, (struct sockaddr *)&from, length);
    }
    return 0;
}
